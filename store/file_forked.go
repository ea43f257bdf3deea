package store

import (
	"github.com/mpmetrics/mpmetrics/internal/fork"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/ownerfile"
)

// forked implements backend: the files that this process has from its parent are the
// parent's alone.
func (b *fileBackend) forked() {
	b.maintaining.Lock()
	defer b.maintaining.Unlock()
	b.opened.Store(false)
	b.part.Store(nil)
	b.store.each(func(i instrument) {
		s := i.base()
		if fork.Foreign(s.pid) && s.place.home.Swap(nil) != nil {
			b.postpone(i)
		}
	})
	for _, p := range append([]*ownerfile.File{b.current, b.next}, partitions(b.retired)...) {
		if p == nil {
			continue
		}
		if err := p.Forsake(); err != nil {
			go b.store.opts.Logger.Error("mpmetrics: a file of the parent process cannot be left", "err", err)
		}
	}
	b.forgetRecords()
	b.mu.Lock()
	b.owed, b.leaving = nil, nil // their records are the parent's business
	b.mu.Unlock()
	b.current, b.next, b.retired, b.moved = nil, nil, nil, nil
	b.mirroring.Lock() // who held it has written, or Forsake would not have returned
	b.mirror = fileMirror{}
	b.mirroring.Unlock()
}

// adopt makes this process, which was forked, one that may have a file. Until then the
// background work does nothing: what instruments hold is still what the parent counted.
func (b *fileBackend) adopt() {
	b.pid, b.id, b.began = fork.Pid(), layout.NewID(), 0
	b.orphan, b.abandoned = true, false
}

func partitions(all []retired) []*ownerfile.File {
	var p []*ownerfile.File
	for _, r := range all {
		p = append(p, r.File)
	}
	return p
}
