package partition

import (
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/mpmetrics/mpmetrics/internal/fork"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/mapped"
)

// Mirror puts mirrored families into the file, as layout.AppendMirror makes them,
// by their names; nil takes one out. It is one transaction: readers see all of it
// or nothing. Errors are those of Grow.
func (p *Partition) Mirror(families map[string][]byte) error {
	p.growing.Lock()
	defer p.growing.Unlock()
	if p.closed || fork.Foreign(p.pid) || len(families) == 0 {
		return nil
	}
	if p.broken {
		return fmt.Errorf("mirror into owner file %s: %w", p.path, ErrBroken)
	}
	err := mapped.Guard(func() error {
		err := p.db.Update(func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte(layout.MirrorBucket))
			for name, value := range families {
				switch {
				case err != nil:
				case value == nil:
					err = b.Delete([]byte(name))
				default:
					err = b.Put([]byte(name), value)
				}
			}
			return err
		})
		if err != nil {
			return err
		}
		return p.db.View(p.checkMoved)
	})
	if err = p.faulted(err); err != nil {
		return fmt.Errorf("mirror into owner file %s: %w", p.path, err)
	}
	return nil
}

// checkMoved looks whether all slabs are where they were mapped.
func (p *Partition) checkMoved(tx *bbolt.Tx) error {
	for _, s := range p.slabs {
		if at, err := offset(tx, s); err != nil || at != s.offset {
			return fmt.Errorf("slab %d from %d to %d of %s: %w", s.header.Number, s.offset, at, p.path, ErrMoved)
		}
	}
	return nil
}
