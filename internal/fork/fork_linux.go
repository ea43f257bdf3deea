package fork

import (
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/mpmetrics/mpmetrics/internal/cell"
)

// mark is a word that the kernel sets to zero in a forked process. Before Linux 4.14 the kernel
// cannot do so: the word stays zero in every process, and Foreign compares pids each time.
var mark = newMark()

// Happened reports whether the process may be a fork. Two loads are enough, because every
// observation of a histogram asks.
func Happened() bool { return mark.Load() == 0 }

func newMark() *atomic.Uint64 {
	page, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return new(atomic.Uint64)
	}
	word := &cell.Words(page)[0]
	if unix.Madvise(page, unix.MADV_WIPEONFORK) == nil {
		word.Store(1)
	}
	return word
}
