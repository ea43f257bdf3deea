//go:build linux || darwin || freebsd

package mapped

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/mpmetrics/mpmetrics/internal/cell"
)

// Write maps length bytes of a file from offset, readable and writable, shared with every process
// that maps or reads the file. The blocks must exist: a write to a hole faults when the disk is
// full.
func Write(fd int, name string, offset int64, length int) (*Region, error) {
	return mmap(fd, name, offset, length, unix.PROT_READ|unix.PROT_WRITE)
}

// Read maps length bytes of a file from offset, readable only. Touch the bytes inside Guard.
func Read(fd int, name string, offset int64, length int) (*Region, error) {
	return mmap(fd, name, offset, length, unix.PROT_READ)
}

func mmap(fd int, name string, offset int64, length, prot int) (*Region, error) {
	from, lead, size := pageRange(offset, length)
	whole, err := unix.Mmap(fd, from, size, prot, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map %d bytes at %d of %s: %w", size, from, name, err)
	}
	return &Region{Bytes: whole[lead : lead+length : lead+length], whole: whole, from: from}, nil
}

// Unmap gives the memory back. The caller must have dropped every word of the memory before.
func (r *Region) Unmap() {
	if r.whole == nil {
		return
	}
	if err := unix.Munmap(r.whole); err != nil {
		panic(fmt.Sprintf("mpmetrics: bug: unmap %d bytes: %v", len(r.whole), err))
	}
	r.Bytes, r.whole = nil, nil
}

// Detach replaces the mapping by zeroed private memory, at the same addresses. A word still in use
// can be loaded and stored as before, but no longer reaches the file.
func (r *Region) Detach() error { return detach(r.whole) }

// DetachFrom is Detach for the part after end, the new end of a truncated file, because touching
// the part would end the process. DetachFrom detaches whole machine pages; the page with the end
// still exists.
func (r *Region) DetachFrom(end int64) error {
	page := int64(os.Getpagesize())
	lost := max(0, (end+page-1)/page*page-r.from)
	if lost >= int64(len(r.whole)) {
		return nil
	}
	return detach(r.whole[lost:])
}

func detach(b []byte) error {
	_, err := unix.MmapPtr(-1, 0, cell.Address(b), uintptr(len(b)),
		unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_FIXED)
	if err != nil {
		return fmt.Errorf("detach mapping: %w", err)
	}
	return nil
}
