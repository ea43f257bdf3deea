package compact

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
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
	dir    *memoryDir     // open
	locked *memoryLock    // compact.lock in it
	base   *memoryArchive // locked; nil: there was none
	stands error          // the last answer of check
}

func (w *memoryWorld) lock(context.Context) (func(), error) {
	if err := w.point("lock"); err != nil {
		return nil, err
	}
	if w.memory.lock == nil {
		w.memory.lock = w.newLock(digest(w.removals))
	}
	if !w.memory.lock.take(w.actor) {
		return nil, ErrBusy
	}
	w.dir, w.locked = w.memoryDir, w.memory.lock
	return func() {
		if w.point("unlock") == nil {
			w.release(w.actor)
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

func (w *memoryWorld) readArchive(context.Context) (*archive.Archive, error) {
	if err := w.hold(); err != nil {
		return nil, err
	}
	if err := w.point("read archive"); err != nil {
		return nil, err
	}
	if err := w.archiveLost(); err != nil {
		return nil, err
	}
	return w.memory.archive.decode(w.actor, nil, w.memory)
}

// disturbing is a point if a person takes part. Otherwise compact.lock keeps
// everybody away who could do something here.
func (w *memoryWorld) disturbing(at string) error {
	if !w.disturbed {
		return nil
	}
	return w.point(at)
}

// hold locks the archive.
func (w *memoryWorld) hold() error {
	if w.base != nil && w.base.holder == w.actor {
		w.base.holder = nil
	}
	if err := w.disturbing("open archive"); err != nil {
		return err
	}
	w.base = w.memory.archive
	w.seen.add(bit(w.base != nil))
	if w.base == nil {
		return nil
	}
	if err := w.disturbing("lock archive"); err != nil {
		return err
	}
	if !w.base.take(w.actor) {
		w.base = nil
		return ErrBusy
	}
	return nil
}

// lockless is an absorption that takes no lock.
type lockless struct{ *memoryWorld }

func (w lockless) lock(context.Context) (func(), error) {
	w.dir = w.memoryDir
	return func() {}, nil
}

func (w lockless) readArchive(context.Context) (*archive.Archive, error) {
	w.base = w.memory.archive
	return w.base.decode(w.actor, nil, w.memory)
}

func (w lockless) commit(_ context.Context, c change) (committed, error) { return commitSteps(w, c) }

func (w lockless) check() error { return nil }

// What check finds.
var (
	errLockLost    = fmt.Errorf("%w: compact.lock", ErrChanged)
	errDirLost     = fmt.Errorf("%w: directory", ErrChanged)
	errArchiveLost = fmt.Errorf("%w: archive", ErrChanged)
)

func (w *memoryWorld) check() error {
	if err := w.disturbing("check"); err != nil {
		return err
	}
	w.stands = nil
	switch {
	case w.dir != w.memoryDir:
		w.stands = errDirLost
	case w.memory.lock != w.locked:
		w.stands = errLockLost
	case w.base != nil && w.memory.archive != w.base:
		w.stands = errArchiveLost
	}
	w.seen.add(bit(w.stands != nil))
	w.deciding = w.actor
	return w.stands
}

func (w *memoryWorld) damaged() int64 { return math.MaxInt64 }

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

		memoryLock: w.newLock(w.seen),
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

func (w *memoryWorld) keep(string) error {
	if !w.lost.begun {
		return errors.New("totals restart, and the archive is there")
	}
	return nil
}

func (w *memoryWorld) publish(temporary string) error {
	if err := w.point("rename"); err != nil {
		return err
	}
	w.decided()
	if w.base == nil && w.dir.archive != nil {
		w.seen.add(1)
		return ErrChanged
	}
	return w.rename(w.dir, temporary)
}

// rename publishes an archive in a directory.
func (w *memoryWorld) rename(dir *memoryDir, temporary string) error {
	m := dir.temporary[temporary]
	if m == nil {
		return ErrChanged
	}
	if m.half {
		return errors.New("the archive to be renamed is not whole")
	}
	if errors.Is(w.stands, errLockLost) {
		w.broken = errors.New("an absorption that had lost compact.lock replaced the archive")
	}
	delete(dir.temporary, temporary)
	dir.archive = m
	if w.lost.begun && !w.lost.ended {
		w.lost.last, w.lost.ended = w.happened, true
	}
	return nil
}

func (w *memoryWorld) syncRename() error {
	w.decided()
	return w.point("sync directory")
}

// decided ends what check began.
func (w *memoryWorld) decided() {
	if w.deciding == w.actor {
		w.deciding = nil
	}
}

func (w *memoryWorld) remove(name string) error {
	if err := w.point("remove"); err != nil {
		return err
	}
	return w.dir.remove(w.actor, name)
}

func (w *memoryWorld) quarantine(_ context.Context, name, reason string) error {
	if err := w.point("quarantine"); err != nil {
		return err
	}
	err := w.dir.remove(w.actor, name)
	if err == nil {
		w.quarantined = append(w.quarantined, name+": "+reason)
	}
	return err
}

func (w *memoryWorld) clean(context.Context) (removed int) {
	if w.point("clean") != nil {
		return 0
	}
	for name, m := range w.temporary {
		if w.clock.Sub(m.written).Abs() >= directory.TemporaryAge {
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

func (w *memoryWorld) steady(now time.Time, uptime time.Duration) (d time.Duration) {
	d, w.watched = archive.Reading{Uptime: uptime, Wall: now}.Steady(w.watched)
	w.seen.add(uint64(d))
	return d
}

func (w *memoryWorld) uptime() time.Duration {
	w.seen.add(uint64(w.memory.uptime))
	return w.memory.uptime
}

func (w *memoryWorld) boot() string { return w.bootID() }

func (w *memoryWorld) inMemory() (files, archive bool) { return false, false }
