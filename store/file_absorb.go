package store

import (
	"context"
	"errors"
	"time"

	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
)

const (
	// manyFiles is when a process that opens its store looks after the dead
	// itself: a directory that nobody scrapes would grow for ever.
	manyFiles = 256

	// absorbGrace is how long Close waits for an absorption. Where all processes
	// are short-lived, one that each of them began and none finished would be no
	// absorption at all.
	absorbGrace = 2 * time.Second
)

// absorb absorbs the dead if there are many. It runs in the background.
func (b *fileBackend) absorb() {
	if b.store.opts.NoAbsorption || !b.crowded() {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-ctx.Done():
		case <-b.stop:
			time.AfterFunc(absorbGrace, cancel)
		}
	}()
	o := b.store.opts.Absorption
	o.MinDead = max(o.MinDead, manyFiles+1)
	b.store.absorb(ctx, b.dir, o)
}

// absorb absorbs the dead of a location, unless somebody else does.
func (s *Store) absorb(ctx context.Context, location string, o compact.Opts) {
	if _, err := compact.Run(ctx, location, o); err != nil && ctx.Err() == nil && !errors.Is(err, compact.ErrBusy) {
		s.opts.Logger.Warn("mpmetrics: dead processes are not absorbed", s.backend.where(), "err", err)
	}
}

// crowded reports whether there are more than manyFiles files, living or dead.
func (b *fileBackend) crowded() bool {
	sub, err := directory.Find(b.dir, b.store.opts.access())
	if err != nil {
		return false
	}
	names, err := directory.List(sub)
	files := 0
	for _, name := range names {
		if _, _, err := layout.ParseFileName(name); err == nil {
			files++
		}
	}
	return err == nil && files > manyFiles
}
