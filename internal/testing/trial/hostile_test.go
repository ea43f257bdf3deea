//go:build unix

package trial

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/ownerfile"
)

// Files that are made to cost a reader as much as they can. Each is skipped
// with its reason, and others are exact.
func TestHostileFiles(t *testing.T) {
	dir := memoryDir(t)
	crowd(t, dir, 10)
	sub := filepath.Join(dir, layout.Subdirectory)
	sparse, err := os.OpenFile(filepath.Join(sub, layout.FileName(1, layout.NewID())), os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		err = sparse.Truncate(1 << 40)
	}
	if err == nil {
		err = sparse.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	tooMany := manySeries(t, sub, layout.MaxSeries+1)
	t.Logf("%d series, made in %v", layout.MaxSeries+1, time.Since(begin).Round(time.Millisecond))

	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	o := newObserver(t, newLedger(), collector.Opts{Location: dir, NoAbsorption: true})
	for scrape := range 3 {
		begin := time.Now()
		checkTotals(t, o, 1, 0)
		took := time.Since(begin)
		runtime.GC()
		runtime.ReadMemStats(&after)
		grown := int64(after.HeapAlloc) - int64(before.HeapAlloc)
		t.Logf("scrape %d took %v and keeps %d KiB", scrape, took.Round(time.Millisecond), grown>>10)
		if grown > 64<<20 {
			t.Errorf("scrape %d keeps %d MiB of two files that are skipped", scrape, grown>>20)
		}
	}
	for name, want := range map[string]float64{"mpmetrics_up": 1, "mpmetrics_files_skipped": 2} {
		if got := sumOf(t, o.registry, name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if err := tooMany.Close(); err != nil {
		t.Fatal(err)
	}
	report, err := compact.Run(t.Context(), dir, compact.Opts{Limits: compact.Limits{CoreShare: 1}, Logger: silent})
	if err != nil || len(report.Left) != 2 || len(report.Quarantined) != 0 {
		t.Errorf("absorption: %v, %v; want both left where they are: they may be sound", report, err)
	}
}

// manySeries makes the file of a process with more series than a store would.
func manySeries(t *testing.T, sub string, n int) *ownerfile.File {
	t.Helper()
	if _, err := directory.Ensure(filepath.Dir(sub), directory.Access{}); err != nil {
		t.Fatal(err)
	}
	p, err := ownerfile.Create(sub, layout.Header{PID: 1, ID: layout.NewID(), Start: time.Now().UnixNano()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	if _, ok := p.AppendFamily(&layout.Family{Type: layout.Counter, Name: "many_total", LabelNames: []string{"n"}}); !ok {
		t.Fatal("no room")
	}
	for i := range n {
		values := []string{strconv.Itoa(i)}
		for !p.AppendSeries(0, 1, values, layout.CounterWords, func([]atomic.Uint64) {}) {
			if err := p.Grow(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return p
}

// sumOf is the sum of all series of a gauge.
func sumOf(t *testing.T, g prometheus.Gatherer, name string) (sum float64) {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name {
				sum += m.GetGauge().GetValue()
			}
		}
	}
	return sum
}
