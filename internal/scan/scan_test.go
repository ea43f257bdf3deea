//go:build unix

package scan

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
	"github.com/mpmetrics/mpmetrics/internal/ownerfile"
)

var silent = slog.New(slog.DiscardHandler)

// passed is a context whose time is over.
func passed(t *testing.T) context.Context {
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	t.Cleanup(cancel)
	return ctx
}

// world is a directory of processes and a scanner of it.
type world struct {
	*Scanner
	source *Directory
	t      *testing.T
	dir    string
	merger *merge.Merger
	errs   []error
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), merger: merge.New()}
	w.source = NewDirectory(&Local{Parent: w.dir})
	w.Scanner = New(w.source, w.merger, silent, func(err error) { w.errs = append(w.errs, err) })
	t.Cleanup(w.Close)
	return w
}

// process makes one more process, with a counter of one.
func (w *world) process() *ownerfile.File {
	w.t.Helper()
	sub, err := directory.Ensure(w.dir, directory.Access{})
	if err != nil {
		w.t.Fatal(err)
	}
	p, err := ownerfile.Create(sub, layout.Header{PID: 1, ID: layout.NewID(), Start: time.Now().UnixNano()})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { p.Close() })
	_, ok := p.AppendFamily(&layout.Family{Type: layout.Counter, Name: "c_total"})
	if !ok || !p.AppendSeries(0, 1, nil, layout.CounterWords, func(cells []atomic.Uint64) { cells[0].Store(1) }) {
		w.t.Fatal("no room")
	}
	return p
}

// total is what the last scan has found.
func (w *world) total() (n float64) {
	for _, f := range w.merger.Families() {
		for _, s := range f.Series {
			n += w.merger.Counter(s)
		}
	}
	return n
}

// scans checks a scan: is is nil, or what its error is, and total what it finds.
func (w *world) scans(what string, ctx context.Context, is error, total float64) {
	w.t.Helper()
	if err := w.Merge(ctx); !errors.Is(err, is) || is != nil && !Transient(err) {
		w.t.Errorf("%s: %v, want %v", what, err, is)
	}
	if n := w.total(); n != total {
		w.t.Errorf("%s: total %v, want %v", what, n, total)
	}
}

func TestDeadline(t *testing.T) {
	w := newWorld(t)
	w.process()
	w.process()
	w.scans("too late", passed(t), ErrDeadline, 0)
	w.scans("in time", t.Context(), nil, 2)
	// What was read takes part, although it is not looked at again.
	w.scans("too late again", passed(t), ErrDeadline, 2)
	if len(w.errs) != 2 || ReasonOf(w.errs[0]) != Deadline {
		t.Errorf("told of %v, want two that are too late", w.errs)
	}
}

func TestMemory(t *testing.T) {
	w := newWorld(t)
	w.process()
	w.scans("one", t.Context(), nil, 1)
	w.source.memory.most = 2 * w.source.memory.used
	w.process()
	w.scans("two", t.Context(), nil, 2)
	third := w.process()
	w.scans("three", t.Context(), ErrMemory, 2)
	if err := errors.Join(third.Close(), os.Remove(third.Path())); err != nil {
		t.Fatal(err)
	}
	w.scans("two again", t.Context(), nil, 2)
}

// What goes beyond the memory of a scan is not kept, is not read again and again within a scan, and
// comes back when there is room: new files, by one goroutine and by several, and files that grow.
func TestMemoryBeyondTheBound(t *testing.T) {
	held := func(w *world) (bytes int64, readings int) {
		for _, f := range w.source.files {
			if f.opened != nil {
				bytes += f.Memory()
				readings++
			}
		}
		return bytes, readings
	}
	for _, goroutines := range []int{1, maxReaders} {
		w := newWorld(t)
		counted := &opens{Disk: w.source.disk}
		w.source.disk = counted
		if goroutines > 1 {
			w.source.disk, w.source.little = together{counted}, 0
		}
		w.process()
		w.scans("one", t.Context(), nil, 1)
		one := w.source.memory.used
		w.source.memory.most = 2 * one
		var many []*ownerfile.File
		for range 50 {
			many = append(many, w.process())
		}
		for i := range 3 {
			counted.n.Store(0)
			w.scans("too much", t.Context(), ErrMemory, 2)
			if bytes, readings := held(w); bytes > w.source.memory.most || readings > 2 {
				t.Errorf("%d goroutines, scan %d: %d bytes of %d readings are held, beyond %d", goroutines, i, bytes, readings, w.source.memory.most)
			}
			if n := counted.n.Load(); n > maxReaders+1 {
				t.Errorf("%d goroutines, scan %d: %d files were opened beyond the bound", goroutines, i, n)
			}
		}
		if open := w.source.descriptors.open.Load(); open != 2 {
			t.Errorf("%d goroutines: %d descriptors are open, want 2", goroutines, open)
		}
		w.source.memory.most = 100 * one
		w.scans("room for all", t.Context(), nil, 51)

		// A file that grows beyond the bound leaves, and comes back.
		number, made := many[0].AppendFamily(&layout.Family{Type: layout.Counter, Name: "grown_total", LabelNames: []string{"l"}})
		for i := range 200 {
			made = made && many[0].AppendSeries(number, 1, []string{fmt.Sprint(i)}, layout.CounterWords, func(cells []atomic.Uint64) { cells[0].Store(1) })
		}
		if !made {
			t.Fatal("no room")
		}
		w.source.memory.most = w.source.memory.used + one
		for range 2 {
			w.scans("one grows", t.Context(), ErrMemory, 50)
			if bytes, readings := held(w); bytes > w.source.memory.most || readings != 50 {
				t.Errorf("%d goroutines, one grows: %d bytes of %d readings are held, beyond %d", goroutines, bytes, readings, w.source.memory.most)
			}
		}
		w.source.memory.most = 0
		w.scans("room again", t.Context(), nil, 251)
	}
}

// Who waits for a directory that was removed does not wait for ever, and not for
// the dead.
func TestDirectoryRemoved(t *testing.T) {
	w := newWorld(t)
	w.process()
	dead := w.process()
	w.scans("before", t.Context(), nil, 2)
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	w.scans("one dead", t.Context(), nil, 2)
	w.source.disk = &Local{Parent: filepath.Join(w.dir, "nowhere")} // as if it were gone
	w.scans("gone", t.Context(), ErrGone, 1)
	w.since = time.Now().Add(-2 * settleTime)
	w.scans("gone for long", t.Context(), nil, 0)
	w.source.disk = &Local{Parent: w.dir}
	w.scans("there again", t.Context(), nil, 2)
}

// A file that is missing although nobody absorbed it is missed, not forgotten;
// after a while its process counts as dead.
func TestFileRemoved(t *testing.T) {
	w := newWorld(t)
	w.process()
	removed := w.process()
	w.scans("before", t.Context(), nil, 2)
	if err := os.Remove(removed.Path()); err != nil {
		t.Fatal(err)
	}
	for _, aged := range []time.Duration{0, 2 * settleTime} {
		missing := w.files[filepath.Base(removed.Path())]
		if aged > 0 {
			missing.gone = missing.gone.Add(-aged)
		}
		w.scans("removed", t.Context(), nil, 2)
		if f := w.Found(); f.Kept != 1 || f.Live != 1 || f.Dead != 0 || f.Unreadable != 0 {
			t.Errorf("found %+v, want one live and one kept", f)
		}
		if missing.live != (aged == 0) {
			t.Errorf("gone for %v: live %v", aged, missing.live)
		}
	}
}

func TestReasons(t *testing.T) {
	for _, r := range Reasons {
		if got := r.Transient(); got != slices.Contains([]Reason{Busy, IO, Deadline, Memory, Gone}, r) {
			t.Errorf("%s: transient %v", r, got)
		}
	}
	if !Transient(errors.New("of the system")) || ReasonOf(fs.ErrPermission) != IO {
		t.Error("what is not known counts as proven")
	}
}
