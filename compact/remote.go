package compact

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/archive"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/location"
	"github.com/mpmetrics/mpmetrics/internal/remote"
	"github.com/mpmetrics/mpmetrics/internal/scan"
	"github.com/mpmetrics/mpmetrics/internal/serverview"
)

// remoteTimeout bounds each exchange with a server. An absorption can wait longer than a scrape.
const remoteTimeout = 10 * time.Second

// partitions is the world for a namespace of a server. There is no lock. Instead, the exchange of
// commit decides: the server checks that the archive in place is the base of the absorption, and
// that the absorbed processes are dead. No other exchange changes the totals.
type partitions struct {
	source *serverview.Source

	// The archive that the next archive is based on.
	epoch, generation string
	fields            map[string]string
	stale             bool // the source has the archive before the last commit

	taken map[layout.ID]remote.Partition // partitions that were read and not absorbed yet
}

// connect opens the namespace of a location.
func connect(l location.Location, log *slog.Logger) (*partitions, error) {
	server, err := remote.Connect(l, cmp.Or(log, slog.Default()))
	if err != nil {
		return nil, err
	}
	return &partitions{
		taken:  map[layout.ID]remote.Partition{},
		source: &serverview.Source{Server: server, DeadOnly: true, Timeout: remoteTimeout},
	}, nil
}

// look looks at the server. readArchive handles a damaged archive.
func (w *partitions) look(ctx context.Context) error {
	if err := w.source.Look(ctx); err != nil && scan.Transient(err) {
		return err
	}
	return nil
}

// lock takes no lock, and only looks at the server.
func (w *partitions) lock(ctx context.Context) (func(), error) { return func() {}, w.look(ctx) }

func (w *partitions) list(ctx context.Context) ([]string, error) {
	if err := w.look(ctx); err != nil {
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

func (w *partitions) readArchive(ctx context.Context) (*archive.Archive, error) {
	if w.stale {
		if err := w.look(ctx); err != nil {
			return nil, err
		}
		w.stale = false
	}
	w.epoch, w.generation, w.fields = w.source.Base()
	return w.source.Archive() // a copy of one answer: a second reading would find the same
}

// damaged returns the earliest time: the restart changes the epoch of the server, and every living
// process then publishes everything in another partition.
func (w *partitions) damaged() int64 { return math.MinInt64 }

func (w *partitions) header(name string) (*layout.Header, error) { return w.source.Header(name) }

func (w *partitions) read(ctx context.Context, name string) (*process, error) {
	read, err := w.source.Read(ctx, name)
	if err != nil {
		return nil, err
	}
	p, _ := w.source.Partition(name)
	w.taken[p.ID] = p
	r := read.Reading
	return &process{header: r.Header(), families: r.Families(), inputs: scan.Inputs(r.Entries()), values: read.Values, natives: read.Natives}, nil
}

// commit sends the changed fields of the archive and takes the absorbed partitions out, in one
// atomic exchange.
func (w *partitions) commit(ctx context.Context, c change) (done committed, err error) {
	if c.next == nil {
		return done, nil // the exchange of the absorption took the partitions out
	}
	fields, err := c.next.Fields()
	if err != nil {
		return done, fmt.Errorf("write archive: %w", err)
	}
	c.next.Size = 0
	r := remote.Replacement{Epoch: w.epoch, Generation: w.generation, Next: layout.NewID().String(), Set: map[string]string{}, Keep: remote.Retention}
	if c.aside != "" {
		r.Anew = layout.NewID().String()
	}
	for field, value := range fields {
		c.next.Size += int64(len(field) + len(value))
		if was, there := w.fields[field]; !there || was != value {
			r.Set[field] = value
		}
	}
	for field := range w.fields {
		if _, there := fields[field]; !there {
			r.Remove = append(r.Remove, field)
		}
	}
	for id, p := range w.taken {
		if c.next.Holds(id) {
			r.Absorbed = append(r.Absorbed, p)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, remoteTimeout)
	defer cancel()
	err = w.source.Server.Replace(ctx, r)
	if errors.Is(err, remote.ErrChanged) {
		// Another absorption came first, or a process came back. The next absorption looks at the
		// server again.
		return done, fmt.Errorf("%w: %w", ErrBusy, err)
	}
	if err != nil {
		return done, fmt.Errorf("replace archive: %w", err)
	}
	w.fields, w.generation, w.epoch, w.stale = fields, r.Next, cmp.Or(r.Anew, w.epoch), true
	for _, p := range r.Absorbed {
		delete(w.taken, p.ID)
	}
	done.published = true
	return done, nil
}

func (w *partitions) quarantine(ctx context.Context, name, reason string) error {
	p, there := w.source.Partition(name)
	if !there {
		return &fs.PathError{Op: "discard", Path: name, Err: fs.ErrNotExist}
	}
	return w.discard(ctx, p, reason)
}

func (w *partitions) discard(ctx context.Context, p remote.Partition, reason string) error {
	ctx, cancel := context.WithTimeout(ctx, remoteTimeout)
	defer cancel()
	return w.source.Server.Discard(ctx, p, reason)
}

// clean discards partitions that are listed and missing: a server that lacks memory may drop
// hashes.
func (w *partitions) clean(ctx context.Context) (removed int) {
	for _, p := range w.source.Lost() {
		if w.discard(ctx, p, "no header, or the archive with the bases is lost") == nil {
			removed++
		}
	}
	return removed
}

// now returns the server's time, because the clocks of machines may differ.
func (w *partitions) now() time.Time { return time.Now().Add(w.source.Ahead()) }

// uptime is not known: processes outlive the boot of a server.
func (w *partitions) uptime() time.Duration { return 0 }

// steady believes the server's clock.
func (w *partitions) steady(time.Time, time.Duration) time.Duration { return math.MaxInt64 }

// boot returns no id, because a server keeps partitions over the boots of machines.
func (w *partitions) boot() string { return "" }

func (w *partitions) inMemory() (files, archive bool) { return false, false }
