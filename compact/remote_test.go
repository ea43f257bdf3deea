package compact_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/internal/archive"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/publisher"
	"github.com/mpmetrics/mpmetrics/internal/remote"
	"github.com/mpmetrics/mpmetrics/internal/testing/memoryserver"
)

// namespace is a namespace of a server with processes that count.
type namespace struct {
	*testing.T
	server *memoryserver.Server
	client *memoryserver.Client
	calls  int
	before func(call int) memoryserver.Fate // of each call of the absorption; nil: all are answered
}

func newNamespace(t *testing.T) *namespace {
	n := &namespace{T: t, server: memoryserver.New()}
	n.client = &memoryserver.Client{Server: n.server, Fate: func() memoryserver.Fate {
		n.calls++
		if n.before == nil {
			return memoryserver.Answered
		}
		return n.before(n.calls)
	}}
	return n
}

const remoteLife = time.Second

// publish starts a process that counts so many, and returns its publisher.
func (n *namespace) publish(count uint64) *publisher.Publisher {
	n.Helper()
	p := publisher.NewPublisher(&memoryserver.Client{Server: n.server}, layout.Header{PID: 1, ID: layout.NewID(), PageSize: layout.PageSize}, remoteLife)
	f := &layout.Family{Type: layout.Counter, Name: "c_total", Help: "h"}
	p.Add(publisher.NewSeries(f, nil, func() int64 { return 1 }, func(words []uint64) { words[0] = count }), nil)
	if err := p.Flush(context.Background()); err != nil {
		n.Fatal(err)
	}
	return p
}

func (n *namespace) die() { n.server.Advance(2 * remoteLife) }

func (n *namespace) run() (compact.Report, error) {
	n.calls = 0
	return compact.Run(context.Background(), n.client.Location(), compact.Opts{Logger: slog.New(slog.DiscardHandler)})
}

func (n *namespace) absorbs(want int) compact.Report {
	n.Helper()
	report, err := n.run()
	if err != nil || report.Absorbed != want {
		n.Fatalf("absorbed %d, want %d: %v", report.Absorbed, want, err)
	}
	return report
}

// total is what the archive has, of whole numbers.
func (n *namespace) total() uint64 {
	n.Helper()
	fields := n.server.Snapshot().Archive
	a, err := archive.FromFields(fields, layout.NewID())
	if err != nil {
		n.Fatal(err)
	}
	accounts := a.Ledger.Accounts()
	if len(accounts) == 0 {
		return 0
	}
	sums := accounts[0].Entries()[0].Sums()
	total := sums.Lo
	for _, part := range sums.Parts { // what came back was taken off
		total -= uint64(-part)
	}
	return total
}

func TestRemoteAbsorbs(t *testing.T) {
	n := newNamespace(t)
	if report := n.absorbs(0); report.Batches != 0 {
		t.Errorf("nobody is there, %d batches", report.Batches)
	}
	n.publish(3)
	n.publish(4)
	n.die()
	n.publish(5)
	if report := n.absorbs(2); report.Series != 1 || report.Bytes == 0 {
		t.Errorf("%d series, %d bytes", report.Series, report.Bytes)
	}
	if got := n.total(); got != 7 {
		t.Errorf("%d, want 7", got)
	}
	n.absorbs(0)
	n.die()
	n.absorbs(1)
	if got := n.total(); got != 12 {
		t.Errorf("%d, want 12", got)
	}
}

// Whatever happens to a call, nobody is absorbed twice, and the next absorption does what
// this one has not done.
func TestRemoteFails(t *testing.T) {
	for fate := memoryserver.Dropped; fate < memoryserver.Fates; fate++ {
		for failing := 1; ; failing++ {
			n := newNamespace(t)
			n.publish(3)
			n.die()
			n.before = func(call int) memoryserver.Fate {
				if call == failing {
					return fate
				}
				return memoryserver.Answered
			}
			_, err := n.run()
			if n.calls < failing {
				break
			}
			if err != nil && !errors.Is(err, remote.ErrUnreachable) && !errors.Is(err, compact.ErrBusy) {
				t.Errorf("fate %d of call %d: %v", fate, failing, err)
			}
			n.before = nil
			n.server.Deliver(func(int) int { return 0 })
			if _, err := n.run(); err != nil {
				t.Errorf("after fate %d of call %d: %v", fate, failing, err)
			}
			if got := n.total(); got != 3 {
				t.Errorf("fate %d of call %d: %d, want 3", fate, failing, got)
			}
		}
	}
}

// Whatever changes under an absorption, before any of its calls, it is as if it had come
// before or after.
func TestRemoteMeanwhile(t *testing.T) {
	type world struct {
		*namespace
		p *publisher.Publisher
	}
	for name, meanwhile := range map[string]func(w *world){
		"it comes back":        func(w *world) { _ = w.p.Flush(context.Background()) },
		"it is absorbed":       func(w *world) { before := w.before; w.before = nil; _, _ = w.run(); w.before = before },
		"its key is dropped":   func(w *world) { w.server.Do(func(s *memoryserver.State) { clear(s.Partitions) }) },
		"everything is lost":   func(w *world) { w.server.Lose() },
		"another one dies too": func(w *world) { w.publish(4); w.die() },
	} {
		for at := 1; ; at++ {
			w := &world{namespace: newNamespace(t)}
			w.p = w.publish(3)
			w.die()
			done := false
			w.before = func(call int) memoryserver.Fate {
				if call == at && !done {
					done = true
					meanwhile(w)
				}
				return memoryserver.Answered
			}
			_, err := w.run()
			if !done {
				break
			}
			if err != nil && !errors.Is(err, compact.ErrBusy) {
				t.Errorf("%s before call %d: %v", name, at, err)
			}
			w.before = nil
			_ = w.p.Flush(context.Background())
			w.die()
			if _, err := w.run(); err != nil {
				t.Errorf("after %s before call %d: %v", name, at, err)
			}
			want := uint64(3)
			if strings.HasPrefix(name, "another") {
				want = 7
			}
			if got := w.total(); got != want {
				t.Errorf("%s before call %d: %d, want %d", name, at, got, want)
			}
		}
	}
}

func TestRemoteDamage(t *testing.T) {
	n := newNamespace(t)
	p := n.publish(3)
	n.die()
	n.server.Do(func(s *memoryserver.State) {
		for _, p := range s.Partitions {
			p.Values["0"] = "x"
		}
	})
	report := n.absorbs(0)
	if len(report.Quarantined) != 1 || report.Quarantined[0].Reason != "damaged" {
		t.Errorf("put aside: %v", report.Quarantined)
	}
	if err := p.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	n.die()
	n.absorbs(1)
	// And the archive.
	epoch := n.server.Snapshot().Epoch
	n.server.Do(func(s *memoryserver.State) { s.Archive["pruned"], s.Generation = "x", "another" })
	n.publish(4)
	n.die()
	if report := n.absorbs(1); report.Aside == "" {
		t.Error("the archive is not put aside")
	}
	if n.server.Snapshot().Epoch == epoch {
		t.Error("totals begin anew and the epoch is the same")
	}
	// Whose values were in it begins again.
	if err := p.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	n.die()
	n.absorbs(1)
	if got := n.total(); got != 7 {
		t.Errorf("%d, want 7", got)
	}
}

func TestRemoteLocations(t *testing.T) {
	for _, location := range []string{"nothing://host", "redis://host\x00", "redis://host"} {
		if _, err := compact.Run(context.Background(), location, compact.Opts{}); err == nil {
			t.Errorf("%q: no error", location)
		}
	}
	n := newNamespace(t)
	n.publish(1)
	n.server.Do(func(s *memoryserver.State) {
		for id, p := range s.Partitions {
			p.Header = ""
			s.Ends[id] = s.Now
		}
	})
	if report := n.absorbs(0); report.Temporary != 1 {
		t.Errorf("cleaned %d", report.Temporary)
	}
}

// Whoever lives for longer than the ids of others are kept is absorbed as they were.
func TestRemoteLivesLong(t *testing.T) {
	n := newNamespace(t)
	old := n.publish(3)
	n.server.Advance(time.Second / 2)
	for want := uint64(1); want <= 3; want++ {
		n.publish(1)
		n.die()
		if err := old.Flush(context.Background()); err != nil {
			t.Fatal(err)
		}
		n.absorbs(1)
		if got := n.total(); got != want {
			t.Fatalf("%d, want %d", got, want)
		}
		n.server.Advance(2 * time.Hour)
	}
	if len(n.server.Snapshot().Archive) == 0 {
		t.Fatal("no archive")
	}
	report := n.absorbs(1)
	if got := n.total(); got != 6 || len(report.Quarantined) > 0 {
		t.Errorf("%d, want 6; put aside: %v", got, report.Quarantined)
	}
}
