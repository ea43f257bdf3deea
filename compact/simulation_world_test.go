package compact

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/archive"
	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// memoryWorld is the world of a compactor in the simulation. Each call stops
// before its effect, but for now and boot: whether a clock jumps before them or
// before the call in front of them nobody can tell.
type memoryWorld struct {
	*actor
	*memory
}

func (w *memoryWorld) lock(context.Context) (func(), error) {
	if err := w.point("lock"); err != nil {
		return nil, err
	}
	w.seen.add(bit(w.locked != nil))
	if w.locked != nil {
		return nil, ErrBusy
	}
	w.locked = w.actor
	return func() {
		if w.point("unlock") == nil {
			w.locked = nil
		}
	}, nil
}

func (w *memoryWorld) list(context.Context) ([]string, error) {
	if err := w.point("list"); err != nil {
		return nil, err
	}
	return w.names(w.actor), nil
}

func (w *memoryWorld) dead(name string) (bool, error) {
	if err := w.point("probe"); err != nil {
		return false, err
	}
	f, err := w.find(w.actor, name)
	if err != nil {
		return false, err
	}
	w.seen.add(bit(f.held()))
	return !f.held(), nil
}

func (w *memoryWorld) readArchive() (*archive.Archive, error) {
	if err := w.point("read archive"); err != nil {
		return nil, err
	}
	return w.memory.archive.decode(w.actor, nil)
}

func (w *memoryWorld) header(name string) (*layout.Header, error) {
	p, err := w.read(context.Background(), name)
	if err != nil {
		return nil, err
	}
	return p.header, nil
}

func (w *memoryWorld) read(_ context.Context, name string) (*process, error) {
	if err := w.point("read"); err != nil {
		return nil, err
	}
	f, err := w.find(w.actor, name)
	if err != nil {
		return nil, err
	}
	w.seen.add(f.cells...)
	return f.read(), nil
}

func (w *memoryWorld) commit(_ context.Context, c change) (committed, error) {
	return commitSteps(w, c)
}

func (w *memoryWorld) write(a *archive.Archive) (string, error) {
	return w.writeRecords(a, a.Records())
}

// writeRecords writes in two steps: a crash leaves nothing, or half.
func (w *memoryWorld) writeRecords(a *archive.Archive, records iter.Seq2[[]byte, error]) (string, error) {
	if err := w.point("create"); err != nil {
		return "", err
	}
	w.made++
	a.Generation = idOf(w.made)
	m := &memoryArchive{
		header:  layout.Header{Kind: layout.ArchiveFile, ID: a.Generation, Generation: a.Epoch, BootID: a.BootID},
		half:    true,
		origin:  w.seen,
		written: w.clock,
	}
	temporary := layout.ArchiveTemporary(a.Generation)
	w.temporary[temporary] = m
	if err := w.point("write"); err != nil {
		return "", err
	}
	for payload, err := range records {
		if err != nil {
			return "", err
		}
		m.payloads = append(m.payloads, bytes.Clone(payload))
	}
	m.half = false
	return temporary, nil
}

func (w *memoryWorld) sync(string) error { return w.point("sync") }

func (w *memoryWorld) keep(string) error { return errors.New("the simulation never begins anew") }

func (w *memoryWorld) publish(temporary string) error {
	if err := w.point("rename"); err != nil {
		return err
	}
	m := w.temporary[temporary]
	if m == nil || m.half {
		return errors.New("the archive to be renamed is not there, or not whole")
	}
	delete(w.temporary, temporary)
	w.memory.archive = m
	return nil
}

func (w *memoryWorld) syncRename() error { return w.point("sync directory") }

func (w *memoryWorld) remove(name string) error {
	if err := w.point("remove"); err != nil {
		return err
	}
	return w.memory.remove(w.actor, name)
}

func (w *memoryWorld) quarantine(_ context.Context, name, reason string) error {
	if err := w.point("quarantine"); err != nil {
		return err
	}
	w.quarantined = append(w.quarantined, name+": "+reason)
	return w.memory.remove(w.actor, name)
}

func (w *memoryWorld) clean(context.Context) (removed int) {
	if w.point("clean") != nil {
		return 0
	}
	for name, m := range w.temporary {
		if w.clock.Sub(m.written) >= directory.TemporaryAge {
			delete(w.temporary, name)
			removed++
			w.seen.add(1)
		}
	}
	return removed
}

func (w *memoryWorld) now() time.Time {
	w.seen.add(uint64(w.clock.UnixNano()))
	return w.clock
}

func (w *memoryWorld) boot() string { return bootID }
