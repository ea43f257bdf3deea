package compact

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/archive"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/remote"
	"github.com/mpmetrics/mpmetrics/internal/scan"
)

// remoteTimeout bounds each exchange with a server: an absorption has time.
const remoteTimeout = 10 * time.Second

// partitions is the world beyond one machine: a namespace of a server. There is no
// lock: what an absorption is based on, and that the processes are not alive, is
// checked by the server at the one moment that decides, which is publish. Nothing is
// half done at any other.
type partitions struct {
	ctx    context.Context
	server remote.Server
	source *remote.Source

	// The archive that the next one is based on.
	epoch, generation string

	taken  map[layout.ID]remote.Partition // read, and not published yet
	next   *archive.Archive               // written, likewise
	fields struct{ were, are map[string]string }
	aside  bool // the one in place is kept for who wants to know why
}

// connect opens the namespace of a location.
func connect(ctx context.Context, location string, log *slog.Logger) (*partitions, error) {
	server, err := remote.Open(location, cmp.Or(log, slog.Default()))
	if err != nil {
		return nil, err
	}
	return &partitions{
		ctx: ctx, server: server, taken: map[layout.ID]remote.Partition{},
		source: &remote.Source{Server: server, DeadOnly: true, Timeout: remoteTimeout},
	}, nil
}

func (w *partitions) lock() (func(), error) {
	// Only to know the archive, damaged or not.
	if err := w.source.Look(w.ctx); err != nil && scan.Transient(err) {
		return nil, err
	}
	return func() {}, nil
}

func (w *partitions) list() ([]string, error) {
	if err := w.source.Look(w.ctx); err != nil && scan.Transient(err) {
		return nil, err
	}
	return w.source.Names()
}

func (w *partitions) dead(name string) (bool, error) {
	p, there := w.source.Partition(name)
	if !there {
		return false, &fs.PathError{Op: "probe", Path: name, Err: fs.ErrNotExist}
	}
	return !p.Live, nil
}

func (w *partitions) readArchive() (*archive.Archive, error) {
	w.epoch, w.generation, w.fields.were = w.source.Base()
	return w.source.Archive()
}

func (w *partitions) header(name string) (*layout.Header, error) {
	return w.source.Header(name)
}

func (w *partitions) read(name string) (*process, error) {
	read, err := w.source.Read(w.ctx, name)
	if err != nil {
		return nil, err
	}
	p, _ := w.source.Partition(name)
	w.taken[p.ID] = p
	r := read.Reading
	return &process{header: r.Header(), families: r.Families(), inputs: scan.Inputs(r.Entries()), values: read.Values, natives: read.Natives}, nil
}

func (w *partitions) write(a *archive.Archive) (_ string, err error) {
	w.fields.are, err = a.Fields()
	if err != nil {
		return "", fmt.Errorf("write archive: %w", err)
	}
	w.next, a.Size = a, 0
	for field, value := range w.fields.are {
		a.Size += int64(len(field) + len(value))
	}
	return "", nil
}

func (w *partitions) sync(string) error { return nil }

func (w *partitions) keep(string) error {
	w.aside = true // by publish
	return nil
}

// publish sends what has changed in the archive, and takes out what it absorbed.
func (w *partitions) publish(string) error {
	r := remote.Replacement{Epoch: w.epoch, Generation: w.generation, Next: layout.NewID().String(), Set: map[string]string{}, Keep: remote.Retention}
	if w.aside {
		r.Anew = layout.NewID().String()
	}
	for field, value := range w.fields.are {
		if was, there := w.fields.were[field]; !there || was != value {
			r.Set[field] = value
		}
	}
	for field := range w.fields.were {
		if _, there := w.fields.are[field]; !there {
			r.Remove = append(r.Remove, field)
		}
	}
	for id, p := range w.taken {
		if w.next.Holds(id) {
			r.Absorbed = append(r.Absorbed, p)
		}
	}
	ctx, cancel := context.WithTimeout(w.ctx, remoteTimeout)
	defer cancel()
	err := w.server.Replace(ctx, r)
	if errors.Is(err, remote.ErrChanged) {
		// Another one absorbed, or a process came back: whoever looks next begins with that.
		return fmt.Errorf("%w: %w", ErrBusy, err)
	}
	if err != nil {
		return fmt.Errorf("replace archive: %w", err)
	}
	w.fields.were, w.aside = w.fields.are, false
	w.generation, w.epoch = r.Next, cmp.Or(r.Anew, w.epoch)
	for _, p := range r.Absorbed {
		delete(w.taken, p.ID)
	}
	return nil
}

func (w *partitions) syncRename() error { return nil }

// remove has nothing to do: publish took the partition out.
func (w *partitions) remove(string) error { return nil }

func (w *partitions) quarantine(name, reason string) error {
	p, there := w.source.Partition(name)
	if !there {
		return &fs.PathError{Op: "discard", Path: name, Err: fs.ErrNotExist}
	}
	ctx, cancel := context.WithTimeout(w.ctx, remoteTimeout)
	defer cancel()
	return w.server.Discard(ctx, p, reason)
}

// clean takes out what is listed and not there: a server that lacked memory may have
// dropped it.
func (w *partitions) clean() (removed int) {
	for _, p := range w.source.Lost() {
		if w.server.Discard(w.ctx, p, "it has no header, or rests on an archive that is lost") == nil {
			removed++
		}
	}
	return removed
}

// now is the server's time: the clocks of several machines may differ.
func (w *partitions) now() time.Time { return time.Now().Add(w.source.Ahead()) }

func (w *partitions) boot() string { return "" }
