package ownerfile

import (
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/mpmetrics/mpmetrics/internal/fork"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/mapped"
)

// Mirrored are changes of the mirror: values from layout.AppendMirror, by names of families; nil
// deletes a family.
type Mirrored struct {
	Families  map[string][]byte
	Exemplars map[string][]byte
}

// Mirror puts mirrored families and exemplars into the file, in one transaction: readers see all
// changes or none. Errors are the errors of Grow.
func (p *File) Mirror(m Mirrored) error {
	p.growing.Lock()
	defer p.growing.Unlock()
	if p.closed || fork.Foreign(p.pid) || len(m.Families)+len(m.Exemplars) == 0 {
		return nil
	}
	if p.broken {
		return fmt.Errorf("mirror into owner file %s: %w", p.path, ErrBroken)
	}
	err := mapped.Guard(func() error {
		err := p.db.Update(func(tx *bbolt.Tx) error {
			if err := putAll(tx, layout.MirrorBucket, m.Families); err != nil {
				return err
			}
			return putAll(tx, layout.ExemplarBucket, m.Exemplars)
		})
		if err != nil {
			return err
		}
		return p.db.View(p.checkMoved)
	})
	if errors.Is(err, ErrMoved) {
		p.moved = err // Grow returns the error to its caller, which replaces the file
	}
	if err = p.faulted(err); err != nil {
		return fmt.Errorf("mirror into owner file %s: %w", p.path, err)
	}
	return nil
}

func putAll(tx *bbolt.Tx, bucket string, values map[string][]byte) error {
	if len(values) == 0 {
		return nil
	}
	b, err := tx.CreateBucketIfNotExists([]byte(bucket))
	for name, value := range values {
		switch {
		case err != nil:
		case value == nil:
			err = b.Delete([]byte(name))
		default:
			err = b.Put([]byte(name), value)
		}
	}
	return err
}

// checkMoved checks that no slab has moved since its mapping.
func (p *File) checkMoved(tx *bbolt.Tx) error {
	for _, s := range p.slabs {
		if at, err := offset(tx, s); err != nil || at != s.offset {
			return fmt.Errorf("slab %d from %d to %d of %s: %w", s.header.Number, s.offset, at, p.path, ErrMoved)
		}
	}
	return nil
}
