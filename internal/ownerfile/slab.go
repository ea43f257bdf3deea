package ownerfile

import (
	"errors"
	"fmt"
	"sync/atomic"

	"go.etcd.io/bbolt"

	"github.com/mpmetrics/mpmetrics/internal/boltfile"
	"github.com/mpmetrics/mpmetrics/internal/cell"
	"github.com/mpmetrics/mpmetrics/internal/fork"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/mapped"
)

// slab is one slab of the file, mapped read-write for the life of the process. After commit,
// everything except the words in cells is immutable.
type slab struct {
	header layout.SlabHeader
	offset int64 // in the file
	region *mapped.Region
	cells  []atomic.Uint64 // of the body
}

func (s *slab) body() int { return int(s.header.Bytes) - layout.SlabHeaderBytes }

// bytes is the body from a byte offset on.
func (s *slab) bytes(at int) []byte { return s.region.Bytes[layout.SlabHeaderBytes+at:] }

// word is the word at a byte offset of the body, a multiple of eight.
func (s *slab) word(at int) *atomic.Uint64 { return &s.cells[at/layout.WordBytes] }

func (s *slab) words(first, n int) []atomic.Uint64 { return s.cells[first : first+n : first+n] }

// plan gives a new slab its number. A number is never reused, even if the slab could not be made
// or mapped.
func (p *File) plan(kind layout.SlabKind, pages int) *slab {
	h := layout.SlabHeader{Kind: kind, Number: p.numbers, Bytes: uint64(layout.SlabBytes(pages))}
	p.numbers++
	if kind == layout.LogSlab {
		h.Generation = p.header.Generation
	}
	return &slab{header: h}
}

// Grow makes the slabs that appending asked for, in one transaction, and maps the slabs. After an
// error the request stays: call again later; Grow does not make a slab twice. An error that wraps
// ErrMoved ends the file; an error that wraps ErrBroken is permanent.
func (p *File) Grow() error {
	p.growing.Lock()
	defer p.growing.Unlock()
	if p.closed || fork.Foreign(p.pid) {
		return nil
	}
	if p.moved != nil {
		return p.moved
	}
	if p.broken {
		return fmt.Errorf("grow owner file %s: %w", p.path, ErrBroken)
	}
	var fresh []*slab
	// bbolt reads its own mapping of the file, and the file may be truncated.
	err := mapped.Guard(func() (err error) {
		p.reuse()
		if len(p.unmapped) == 0 {
			asked := p.asked()
			if len(asked) == 0 {
				return nil
			}
			if err := p.write(asked, false); err != nil {
				return err
			}
		}
		fresh, err = p.mapWritten()
		return err
	})
	err = p.faulted(err)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range fresh {
		t := &p.cells
		if s.header.Kind == layout.LogSlab {
			t = &p.log
		}
		// A spare too small for a long record stays empty.
		t.spare, t.asked, t.need = s, false, 0
	}
	if err != nil {
		return fmt.Errorf("grow owner file %s: %w", p.path, err)
	}
	return nil
}

// faulted notes a memory fault of bbolt: the fault may have left bbolt inconsistent and holding
// its own locks.
func (p *File) faulted(err error) error {
	if !errors.Is(err, mapped.ErrFault) {
		return err
	}
	p.broken = true
	return fmt.Errorf("%w: %w", ErrBroken, err)
}

// reuse makes a slab of a former log the spare of the log, if the log asked for a spare.
func (p *File) reuse() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t := &p.log; t.asked {
		if s := p.former.take(t.need + layout.WordBytes); s != nil {
			t.spare, t.asked, t.need = s, false, 0
		}
	}
}

// asked plans the slabs that appending asked for.
func (p *File) asked() []*slab {
	p.mu.Lock()
	defer p.mu.Unlock()
	var fresh []*slab
	for _, t := range []*tail{&p.log, &p.cells} {
		if t.asked {
			factor := growthFactor
			if !t.grown {
				factor = firstGrowth
			}
			kind := t.current.header.Kind
			pages := p.slabPages(kind, layout.SlabPages(t.current.body())*factor, t.need+layout.WordBytes)
			fresh = append(fresh, p.plan(kind, pages))
		}
	}
	return fresh
}

// slabPages is the size of a new slab with room for so many bytes, if so many pages are wanted. A
// slab has at most 256 KiB, or in a large file an eighth of the slabs of its kind, so that slabs are
// few; only a larger record needs more than 1 MiB. growing is held.
func (p *File) slabPages(kind layout.SlabKind, wanted, bytes int) int {
	pages := max(min(wanted, usualSlabPages), min(layout.SlabPages(p.bytesOf(kind)/slabShare), largeSlabPages))
	return max(pages, layout.SlabPages(bytes))
}

// bytesOf returns the bytes of all mapped slabs of a kind. growing is held.
func (p *File) bytesOf(kind layout.SlabKind) (bytes int) {
	for _, s := range p.slabs {
		if s.header.Kind == kind {
			bytes += s.body()
		}
	}
	return bytes
}

// write writes new slabs, and with withHeader the header, in one transaction. bbolt writes every
// page with pwrite: the blocks exist before the mapping, and a full disk is an error of write
// instead of a later fault.
func (p *File) write(fresh []*slab, withHeader bool) error {
	err := p.db.Update(func(tx *bbolt.Tx) error {
		if withHeader {
			if err := boltfile.PutHeader(tx, &p.header); err != nil {
				return err
			}
		}
		for _, s := range fresh {
			if err := boltfile.Put(tx, s.header.Number, layout.EncodeSlab(s.header)); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		p.unmapped = fresh
	}
	return err
}

// mapWritten maps the slabs in the file that are not mapped yet. Before, mapWritten checks that no
// mapped slab has moved.
func (p *File) mapWritten() (fresh []*slab, err error) {
	err = p.db.View(func(tx *bbolt.Tx) error {
		if err := p.checkMoved(tx); err != nil {
			return err
		}
		for _, s := range p.unmapped {
			at, err := offset(tx, s)
			if err == nil {
				err = p.mapSlab(s, at)
			}
			if err != nil {
				return err
			}
			fresh = append(fresh, s)
		}
		return nil
	})
	p.slabs = append(p.slabs, fresh...)
	p.unmapped = p.unmapped[len(fresh):]
	return fresh, err
}

// offset returns where a slab is in the file.
func offset(tx *bbolt.Tx, s *slab) (int64, error) {
	b := tx.Bucket(layout.SlabBucket(s.header.Number))
	if b == nil {
		return 0, fmt.Errorf("slab %d is not in the file: %w", s.header.Number, ErrMoved)
	}
	return int64(b.Root())*layout.PageSize + layout.ValueOffset, nil
}

// mapSlab maps a slab and compares the mapping with the written header.
func (p *File) mapSlab(s *slab, offset int64) error {
	r, err := p.mapWrite(int(p.file.Fd()), p.path, offset, int(s.header.Bytes))
	if err != nil {
		return err
	}
	got, err := layout.DecodeSlab(r.Bytes)
	if err == nil && got != s.header {
		err = fmt.Errorf("slab header %+v, want %+v: %w", got, s.header, ErrMoved)
	}
	if err != nil {
		r.Unmap()
		return err
	}
	s.offset, s.region, s.cells = offset, r, cell.Words(r.Bytes[layout.SlabHeaderBytes:])
	return nil
}
