package owner

import (
	"context"
	"maps"

	"github.com/mpmetrics/mpmetrics/internal/ownerfile"
	"github.com/mpmetrics/mpmetrics/internal/place"
)

// mirror is the content of the mirror in the file, as it is or is about to be.
type mirror struct {
	all    place.Mirrored  // the whole content
	staged place.Mirrored  // the change that is not written yet
	in     *ownerfile.File // the file to which staged applies, nil for none
}

// Stage implements place.Place.
func (p *Place) Stage(changed place.Mirrored) {
	p.mirroring.Lock()
	defer p.mirroring.Unlock()
	p.mirror.staged.Add(changed)
	p.mirror.all.Add(changed)
	p.mirror.all.Settle()
}

// Flush implements place.Place. Readers see cells without a flush; series that wait for
// room are published first.
func (p *Place) Flush(context.Context) error {
	if p.Pending() > 0 {
		p.maintaining.Lock()
		if f := p.part.Load(); f != nil {
			p.publishAll(f)
		}
		p.maintaining.Unlock()
	}
	return p.writeMirror()
}

// writeMirror writes the staged changes into the file.
func (p *Place) writeMirror() error {
	p.mirroring.Lock()
	defer p.mirroring.Unlock()
	// Under the lock: a flush that waited for a move must not write to the file that
	// the series have left.
	f := p.part.Load()
	if f == nil {
		return nil
	}
	return p.mirror.writeTo(f)
}

// moveMirror writes the mirror into another file before the file is published: totals
// would dip otherwise.
func (p *Place) moveMirror(f *ownerfile.File) error {
	p.mirroring.Lock()
	defer p.mirroring.Unlock()
	return p.mirror.writeTo(f)
}

// writeTo writes the changes that the file lacks.
func (m *mirror) writeTo(f *ownerfile.File) error {
	if m.in != f {
		m.in, m.staged = f, place.Mirrored{Families: maps.Clone(m.all.Families), Exemplars: maps.Clone(m.all.Exemplars)}
	}
	if m.staged.Empty() {
		return nil
	}
	if err := f.Mirror(ownerfile.Mirrored{Families: m.staged.Families, Exemplars: m.staged.Exemplars}); err != nil {
		return err
	}
	m.staged = place.Mirrored{}
	return nil
}
