//go:build unix

package trial

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// observer scrapes a directory of churning processes and holds each scrape
// against the one before and against what the ledger knew when it began.
type observer struct {
	ledger   *ledger
	registry *prometheus.Registry
	close    func() error
	before   map[string]value

	scrapes int
	slowest time.Duration
}

// newObserver returns an observer with a collector of its own.
func newObserver(t *testing.T, l *ledger, o collector.Opts) *observer {
	t.Helper()
	o.Logger = silent
	c := collector.New(o)
	t.Cleanup(func() { c.Close() })
	r := prometheus.NewRegistry()
	r.MustRegister(c)
	return &observer{ledger: l, registry: r, close: c.Close}
}

// scrape scrapes once: nothing may go down or away, or be more or less than was
// counted, and no gauge of the dead may come back.
func (o *observer) scrape(t *testing.T) map[string]value {
	t.Helper()
	counted, deaths := o.ledger.counted.Load(), o.ledger.deaths.Load()
	begin := time.Now()
	families, err := o.registry.Gather()
	o.slowest = max(o.slowest, time.Since(begin))
	if err != nil {
		t.Error(err)
	}
	begun := o.ledger.begun.Load()
	o.scrapes++
	now := map[string]value{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			switch f.GetName() {
			case "mpmetrics_up":
				if m.GetGauge().GetValue() != 1 {
					t.Errorf("scrape %d: mpmetrics_up is not 1", o.scrapes)
				}
			case "mpmetrics_read_errors_total":
				if n := m.GetCounter().GetValue(); n != 0 {
					t.Errorf("scrape %d: %v read errors %v", o.scrapes, n, m.GetLabel())
				}
			case aliveEach, aliveSum:
				if owner := m.GetLabel()[0].GetValue(); o.ledger.deadBefore(owner, deaths) {
					t.Errorf("scrape %d: %s of process %s is back, which was dead before it began", o.scrapes, f.GetName(), owner)
				}
			default:
				if !strings.HasPrefix(f.GetName(), layout.ReservedPrefix) {
					now[keyOf(f.GetName(), m)] = valueOf(m)
				}
			}
		}
	}
	for k, v := range o.before {
		if n, ok := now[k]; !ok || n.count < v.count || n.sum < v.sum {
			t.Errorf("scrape %d: %s from %+v to %+v", o.scrapes, k, v, n)
		}
	}
	if n := int64(now[key("whole_total", "0")].count); n < counted || n > begun {
		t.Errorf("scrape %d: %d processes, want %d to %d", o.scrapes, n, counted, begun)
	}
	o.before = now
	return now
}

// until scrapes without a pause until done.
func (o *observer) until(t *testing.T, done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		default:
			o.scrape(t)
		}
	}
}

// self returns a metric about mpmetrics, of the sample with a label value if one
// is given.
func (o *observer) self(t *testing.T, name string, label ...string) float64 {
	t.Helper()
	families, err := o.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if len(label) == 0 || hasLabel(m, label[0]) {
				return m.GetGauge().GetValue() + m.GetCounter().GetValue() // one is nil
			}
		}
	}
	t.Fatalf("no %s %q", name, label)
	return 0
}

func hasLabel(m *dto.Metric, value string) bool {
	for _, l := range m.GetLabel() {
		if l.GetValue() == value {
			return true
		}
	}
	return false
}

// listing are the names in the directory of the files.
func listing(t testing.TB, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, layout.Subdirectory))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// processFiles are the names of those that are a process's.
func processFiles(t testing.TB, dir string) (names []string) {
	t.Helper()
	for _, name := range listing(t, dir) {
		if _, _, err := layout.ParseFileName(name); err == nil {
			names = append(names, name)
		}
	}
	return names
}

// memoryDir is a directory in memory, where live files belong, if the system
// has a place for that: what is timed there is not the disk.
func memoryDir(t testing.TB) string {
	t.Helper()
	const shm = "/dev/shm"
	if info, err := os.Stat(shm); err != nil || !info.IsDir() {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(shm, "mpmetrics-trial-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
