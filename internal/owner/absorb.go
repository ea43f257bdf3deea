package owner

import (
	"context"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// absorbGrace is how long Close waits for an absorption. Where all processes
// are short-lived, absorptions that each process starts and no process finishes
// would absorb nothing.
const absorbGrace = 2 * time.Second

// absorb absorbs the dead if there are many files. It runs in the background.
func (p *Place) absorb() {
	if p.NoAbsorption || !p.crowded() {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-ctx.Done():
		case <-p.stop:
			time.AfterFunc(absorbGrace, cancel)
		}
	}()
	p.Host.Absorb(ctx, directory.Crowded+1)
}

// crowded reports whether there are more than directory.Crowded files, of live or dead processes.
func (p *Place) crowded() bool {
	sub, err := directory.Find(p.Dir, p.Access)
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
	return err == nil && files > directory.Crowded
}
