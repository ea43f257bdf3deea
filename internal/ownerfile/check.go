package ownerfile

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"syscall"

	"github.com/mpmetrics/mpmetrics/internal/directory"
)

// Errors of Check: the series have to move into another file. The first two are damage to a
// published file by another program.
var (
	// ErrRemoved: readers do not find the file, or find another file.
	ErrRemoved = errors.New("the file of this process was removed or replaced")

	// ErrTruncated: the file is shorter than the mapped part.
	ErrTruncated = errors.New("another program cut the file of this process short; let no program write to the directory")

	// ErrExhausted: the file has given nearly all its numbers for series. Readers find the file.
	ErrExhausted = errors.New("the file of this process has no more numbers for series")
)

// Numbers of series are not used again: readers want them ascending. At a thousand new series a
// second they last 50 days. numbersAhead is how many are left when Check says ErrExhausted, so that
// the next file is there before the last number is given.
const numbersAhead = 1 << 24

// Check looks whether the file is complete, at the path where readers look, and has numbers for
// series left. Any other error than ErrRemoved, ErrTruncated and ErrExhausted means that Check could
// not find out.
//
// If the file was truncated, Check detaches the lost pages, so that counting there does not fault;
// the lost cells are zero afterwards.
func (p *File) Check() error {
	p.growing.Lock()
	defer p.growing.Unlock()
	if p.closed {
		return nil
	}
	info, err := p.file.Stat()
	if err != nil {
		return fmt.Errorf("check owner file: %w", err)
	}
	if size := info.Size(); size < p.end() || p.cut {
		errs := []error{fmt.Errorf("%s has %d bytes of %d: %w", p.path, size, p.end(), ErrTruncated)}
		for _, s := range p.slabs {
			if !p.cut { // only once: counting goes on in the new memory
				errs = append(errs, s.region.DetachFrom(size))
			}
		}
		p.cut = true
		return errors.Join(errs...)
	}
	st, err := directory.LookAt(p.path)
	switch {
	case err == nil && st.Inode == p.header.Inode:
		if p.numbersLeft() < numbersAhead {
			return fmt.Errorf("%s: %w", p.path, ErrExhausted)
		}
		return nil
	case err == nil, errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: %w", p.path, ErrRemoved)
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ELOOP):
		// Something else is in the place of the directory.
		return fmt.Errorf("%w: %w", ErrRemoved, err)
	case errors.Is(err, fs.ErrPermission) && p.Unlinked():
		return fmt.Errorf("%w: %w", ErrRemoved, err)
	}
	// A directory that this process may not enter says nothing about the file: the process has dropped
	// its privileges, or a parent is closed for a while. Readers of other users find the file.
	return fmt.Errorf("check owner file: %w", err)
}

// end is the end of the last mapped slab.
func (p *File) end() (end int64) {
	for _, s := range p.slabs {
		end = max(end, s.offset+int64(s.header.Bytes))
	}
	return end
}

// Unlinked reports whether the file has no name left, so that the file cannot come back.
func (p *File) Unlinked() bool {
	st, err := directory.StatFile(p.file)
	return err == nil && st.Links == 0
}

func (p *File) numbersLeft() uint32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return math.MaxUint32 - p.series
}

// SkipSeries leaves so many numbers of series out. A test calls SkipSeries instead of making as many
// series.
func (p *File) SkipSeries(n uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.series += n
}
