package publisher_test

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/internal/remote"
	"github.com/mpmetrics/mpmetrics/internal/testing/memoryserver"
)

// newWorld is a server and a process that publishes a counter, with a network that is well.
func newWorld(t *testing.T) (*world, *process) {
	w := &world{t: t, rand: rand.New(rand.NewPCG(1, 1)), server: memoryserver.New()}
	return w, newModelProcess(w, "p")
}

func (p *process) mustFlush(t *testing.T) {
	t.Helper()
	if !p.flush(false) {
		t.Fatal("cannot flush")
	}
}

func (w *world) absorb(t *testing.T) compact.Report {
	t.Helper()
	location := (&memoryserver.Client{Server: w.server}).Location()
	report, err := compact.Run(context.Background(), location, compact.Opts{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func (w *world) counter(t *testing.T, r *reader) float64 {
	t.Helper()
	shown, err := r.scan()
	if err != nil {
		t.Fatal(err)
	}
	return r.merger.Counter(shown["c_total"])
}

// A process that comes back to a partition of which nothing is kept any more goes by the
// last answer: it was answered everything, so this is exact.
func TestBaseIsGone(t *testing.T) {
	for name, drop := range map[string]func(w *world, p *memoryserver.Partition){
		"header": func(_ *world, p *memoryserver.Partition) { p.Header = "" },
		"series": func(_ *world, p *memoryserver.Partition) { clear(p.Series) },
		"values": func(_ *world, p *memoryserver.Partition) { clear(p.Values) },
		"everything, an hour later": func(w *world, _ *memoryserver.Partition) {
			w.server.Advance(remote.Retention + time.Minute)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, p := newWorld(t)
			m := &model{T: t, world: w}
			for want := uint64(5); want < 20; want += 5 {
				p.values["c_total"][0] += 5
				p.mirrored += 5
				p.mirror(w)
				p.mustFlush(t)
				w.server.Advance(2 * modelLife)
				if got := w.absorb(t).Absorbed; got != 1 {
					t.Fatalf("absorbed %d", got)
				}
				var taken []*memoryserver.Partition
				w.server.Do(func(s *memoryserver.State) {
					for _, p := range s.Partitions {
						if p.Taken {
							taken = append(taken, p)
						}
					}
				})
				for _, p := range taken {
					drop(w, p)
				}
				p.mustFlush(t)
				if got := w.counter(t, m.newReader(nil)); got != float64(want) {
					t.Errorf("%v, want %d", got, want)
				}
			}
		})
	}
}

// A collector sees what a process sends again after the server has lost everything, or
// did not answer for a while.
func TestReaderGoesOn(t *testing.T) {
	w, p := newWorld(t)
	m := &model{T: t, world: w}
	up := true
	r := m.newReader(func() memoryserver.Fate {
		if up {
			return memoryserver.Answered
		}
		return memoryserver.Dropped
	})
	check := func(what string) {
		t.Helper()
		p.values["c_total"][0]++
		p.mustFlush(t)
		if got := w.counter(t, r); got != float64(p.values["c_total"][0]) {
			t.Errorf("%s: %v, want %d", what, got, p.values["c_total"][0])
		}
	}
	check("at first")
	up = false
	if _, err := r.scan(); err == nil {
		t.Error("no error from a server that does not answer")
	}
	up = true
	check("after an outage")
	w.server.Lose()
	check("after a loss")
	for _, drop := range []func(*memoryserver.Partition){
		func(p *memoryserver.Partition) { p.Header = "" },
		func(p *memoryserver.Partition) { clear(p.Families) },
		func(p *memoryserver.Partition) { clear(p.Series) },
		func(p *memoryserver.Partition) { clear(p.Values) },
	} {
		w.server.Do(func(s *memoryserver.State) {
			for _, p := range s.Partitions {
				drop(p)
			}
		})
		if got := w.counter(t, r); got != float64(p.values["c_total"][0]) {
			t.Errorf("a key is dropped: %v, want %d", got, p.values["c_total"][0])
		}
		check("a key was dropped")
	}
}

// A process is stopped, and somebody damages its partition meanwhile: it is put aside, and
// begun again.
func TestPutAsideAndBack(t *testing.T) {
	for name, damage := range map[string]func(p *memoryserver.Partition){
		"header":    func(p *memoryserver.Partition) { p.Header = "x" },
		"families":  func(p *memoryserver.Partition) { p.Families["0"] = "x" },
		"series":    func(p *memoryserver.Partition) { p.Series["0"] = "x" },
		"values":    func(p *memoryserver.Partition) { p.Values["0"] = "x" },
		"exemplars": func(p *memoryserver.Partition) { p.Values[remote.ExemplarField+"c_total"] = "x" },
		"mirrored":  func(p *memoryserver.Partition) { p.Values[remote.MirrorField+"m_total"] = "x" },
	} {
		t.Run(name, func(t *testing.T) {
			w, p := newWorld(t)
			m := &model{T: t, world: w}
			r := m.newReader(nil)
			p.values["c_total"][0] = 5
			p.mustFlush(t)
			w.counter(t, r)
			w.server.Advance(2 * modelLife)
			w.server.Do(func(s *memoryserver.State) {
				for _, p := range s.Partitions {
					damage(p)
				}
			})
			if got := w.counter(t, r); got != 5 {
				t.Errorf("damaged: %v", got)
			}
			if report := w.absorb(t); len(report.Quarantined) != 1 {
				t.Fatalf("put aside: %v", report.Quarantined)
			}
			p.values["c_total"][0] = 7
			p.mustFlush(t)
			for what, r := range map[string]*reader{"one that knew it": r, "a new one": m.newReader(nil)} {
				if got := w.counter(t, r); got != 7 {
					t.Errorf("back, by %s: %v, want 7", what, got)
				}
			}
		})
	}
}

// What a reader could not read when it changed last, it reads when the server answers.
func TestReaderCatchesUp(t *testing.T) {
	for failing := 1; failing < 6; failing++ {
		w, p := newWorld(t)
		m := &model{T: t, world: w}
		calls := -1
		r := m.newReader(func() memoryserver.Fate {
			if calls >= 0 {
				calls++
			}
			if calls == failing {
				return memoryserver.Dropped
			}
			return memoryserver.Answered
		})
		r.source.Grace = 1
		p.mustFlush(t)
		w.counter(t, r)
		w.counter(t, r) // it is at rest
		p.values["c_total"][0] = 5
		if !p.flush(true) {
			t.Fatal("cannot end")
		}
		calls = 0
		if got := w.counter(t, r); calls >= failing && got != 0 && got != 5 {
			t.Errorf("call %d failed: %v, want what was before, or is now", failing, got)
		}
		if calls < failing {
			break
		}
		if got := w.counter(t, r); got != 5 {
			t.Errorf("after call %d failed: %v, want 5", failing, got)
		}
	}
}
