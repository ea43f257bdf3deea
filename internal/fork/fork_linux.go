package fork

import (
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/mpmetrics/mpmetrics/internal/cell"
)

// mark is a word that the kernel sets to zero in a forked process. nil: the
// kernel, one before 4.14, cannot do that.
var mark = newMark()

func newMark() *atomic.Uint64 {
	page, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil
	}
	if err := unix.Madvise(page, unix.MADV_WIPEONFORK); err != nil {
		_ = unix.Munmap(page)
		return nil
	}
	word := &cell.Words(page)[0]
	word.Store(1)
	return word
}

func happened() bool {
	if mark == nil {
		return os.Getpid() != started
	}
	return mark.Load() == 0
}
