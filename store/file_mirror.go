package store

import (
	"maps"

	"github.com/mpmetrics/mpmetrics/internal/ownerfile"
)

// fileMirror is what the mirror in the file has, or will have.
type fileMirror struct {
	all    mirrored        // what is to be there
	staged mirrored        // the change that is not written yet
	in     *ownerfile.File // which file it is about, nil for none
}

// stage implements backend.
func (b *fileBackend) stage(changed mirrored) {
	b.mirroring.Lock()
	defer b.mirroring.Unlock()
	b.mirror.staged.add(changed)
	b.mirror.all.add(changed)
	b.mirror.all.settle()
}

// flush implements backend. Cells are visible anyway.
func (b *fileBackend) flush() error {
	b.mirroring.Lock()
	defer b.mirroring.Unlock()
	// Under the lock: a flush that waited for a move must not write to a file that
	// everything has moved out of.
	p := b.part.Load()
	if p == nil {
		return nil
	}
	return b.mirror.writeTo(p)
}

// moveMirror writes the mirror into another file, before it is published: totals would
// dip without it.
func (b *fileBackend) moveMirror(p *ownerfile.File) error {
	b.mirroring.Lock()
	defer b.mirroring.Unlock()
	return b.mirror.writeTo(p)
}

// writeTo writes into a file what is not in it yet.
func (m *fileMirror) writeTo(p *ownerfile.File) error {
	if m.in != p {
		m.in, m.staged = p, mirrored{maps.Clone(m.all.families), maps.Clone(m.all.exemplars)}
	}
	if m.staged.empty() {
		return nil
	}
	if err := p.Mirror(ownerfile.Mirrored{Families: m.staged.families, Exemplars: m.staged.exemplars}); err != nil {
		return err
	}
	m.staged = mirrored{}
	return nil
}
