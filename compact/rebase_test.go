//go:build unix

package compact_test

import (
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/internal/archive"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/testing/promtest"
	"github.com/mpmetrics/mpmetrics/store"
)

// counting is a process with metrics of each cumulative type, own and mirrored metrics.
type counting struct {
	*store.Store
	whole, float        prometheus.Counter
	histogram, mirrored prometheus.Histogram
	native              prometheus.Histogram
	summary             prometheus.Summary
	gauge               prometheus.Gauge
	mirroredFloat       prometheus.Counter
}

func newCounting(t testing.TB, dir string) *counting {
	t.Helper()
	s := open(t, dir, store.Opts{FlushInterval: time.Hour})
	buckets := []float64{1, 10}
	c := &counting{
		Store:         s,
		whole:         s.NewCounter(prometheus.CounterOpts{Name: "whole_total", Help: "h"}),
		float:         s.NewCounter(prometheus.CounterOpts{Name: "float_total", Help: "h"}),
		histogram:     s.NewHistogram(prometheus.HistogramOpts{Name: "histogram", Help: "h", Buckets: buckets}),
		native:        s.NewHistogram(prometheus.HistogramOpts{Name: "native", Help: "h", NativeHistogramBucketFactor: 1.1}),
		summary:       s.NewSummary(prometheus.SummaryOpts{Name: "summary", Help: "h"}),
		gauge:         s.NewGauge(prometheus.GaugeOpts{Name: "gauge", Help: "h"}, store.LiveSum),
		mirrored:      prometheus.NewHistogram(prometheus.HistogramOpts{Name: "mirrored", Help: "h", Buckets: buckets}),
		mirroredFloat: prometheus.NewCounter(prometheus.CounterOpts{Name: "mirrored_float_total", Help: "h"}),
	}
	s.Registerer().MustRegister(c.mirrored, c.mirroredFloat)
	return c
}

// count counts n times, and sets the gauge to n.
func (c *counting) count(t testing.TB, n int) {
	t.Helper()
	for i := range n {
		c.whole.Inc()
		c.float.Add(0.1)
		c.histogram.Observe(float64(i % 12))
		c.native.Observe(float64(i % 12))
		c.summary.Observe(0.1)
		c.mirrored.Observe(float64(i % 12))
		c.mirroredFloat.Add(0.5)
	}
	c.gauge.Set(float64(n))
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// wantCounts compares the cumulative values with n observations of 0, each with 0.1 and 0.5 for the
// floats.
func (s *shown) wantCounts(when string, n float64) {
	s.t.Helper()
	want := promtest.Samples{
		"whole_total": n, "float_total": n * 0.1, "mirrored_float_total": n * 0.5,
		"native_count": n, "native_sum": 0, "summary_count": n, "summary_sum": n * 0.1,
	}
	for _, name := range []string{"histogram", "mirrored"} {
		want[name+"_count"], want[name+"_sum"] = n, 0
		want[name+`_bucket{le="1"}`], want[name+`_bucket{le="10"}`] = n, n
	}
	got := promtest.Flatten(promtest.Gather(s.t, s.r))
	for name, w := range want {
		if g, there := got[name]; !there || math.Abs(g-w) > 1e-9 {
			s.t.Errorf("%s: %s is %v, want %v", when, name, g, w)
		}
	}
	native := s.scrape()["native"].GetHistogram()
	if zero := float64(native.GetZeroCount()); zero != n || len(native.GetPositiveDelta()) > 0 && n == 0 {
		s.t.Errorf("%s: native buckets %v, want %v in the zero bucket", when, native, n)
	}
}

// losses are the ways to lose an archive.
var losses = map[string]func(t testing.TB, dir string){
	"damaged": func(t testing.TB, dir string) {
		change(t, archivePath(dir), func(b []byte) []byte { return b[:len(b)/2] })
	},
	"removed": func(t testing.TB, dir string) {
		if err := os.Remove(archivePath(dir)); err != nil {
			t.Fatal(err)
		}
	},
}

// The archive is put aside while processes live. The restarted totals have what was counted since,
// and nothing a second time: when the process dies, when the process is absorbed, and when the
// archive is lost once more. Old and new collectors show the same.
func TestArchiveLostWhileProcessesLive(t *testing.T) {
	for name, lose := range losses {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			lives, other := newCounting(t, dir), newCounting(t, dir)
			lives.count(t, 40)
			other.count(t, 15)
			dead := newCounting(t, dir)
			dead.count(t, 30)
			end(t, dead.Store)
			absorb(t, dir, compact.Opts{})
			old := watch(t, collector.Opts{Location: dir})
			if got := old.value("whole_total"); got != 85 {
				t.Fatalf("total %v, want 85", got)
			}
			want := func(when string, n float64) {
				t.Helper()
				old.wantCounts(when+", old collector", n)
				watch(t, collector.Opts{Location: dir}).wantCounts(when+", new collector", n)
			}
			n := 0.0
			for range 2 {
				lose(t, dir)
				old.want("whole_total", -1)
				begin := time.Now()
				if report := absorb(t, dir, compact.Opts{}); report.Aside == "" {
					t.Fatalf("report %+v", report)
				}
				n = 0
				want("restarted", n)
				for name, m := range old.scrape() {
					start := m.GetCounter().GetCreatedTimestamp()
					if start != nil && name == "whole_total" && start.AsTime().Before(begin) {
						t.Errorf("start timestamp %v, want a time after %v", start.AsTime(), begin)
					}
				}
				lives.count(t, 1)
				n++
				want("counted", n)
			}
			old.want("gauge", 1+15)
			end(t, lives.Store)
			want("dead", n)
			absorb(t, dir, compact.Opts{})
			want("absorbed", n)
			other.count(t, 1)
			late := newCounting(t, dir)
			late.count(t, 1)
			want("counted by others", n+2)
			end(t, other.Store)
			end(t, late.Store)
			absorb(t, dir, compact.Opts{})
			want("all absorbed", n+2)
			bases := old.archive(dir).Ledger.Bases
			delete(bases, layout.ID{})
			if len(bases) > 0 {
				t.Errorf("bases of absorbed processes: %v", bases)
			}
		})
	}
}

// A process is dead and not absorbed when totals restart: totals have had its counts, so the counts
// are in no total again, in the first batch and in later batches. Its gauges stay.
func TestArchiveLostWhileDeadProcessesWait(t *testing.T) {
	const n = compact.BatchFiles + 3
	dir := t.TempDir()
	lives := open(t, dir, store.Opts{})
	c := lives.NewCounter(prometheus.CounterOpts{Name: "n_total", Help: "h"})
	c.Add(5)
	die(t, dir, 10)
	absorb(t, dir, compact.Opts{})
	for i := range n {
		s := open(t, dir, store.Opts{})
		s.NewCounter(prometheus.CounterOpts{Name: "n_total", Help: "h"}).Inc()
		s.NewGauge(prometheus.GaugeOpts{Name: "max", Help: "h"}, store.Max).Set(float64(i))
		end(t, s)
	}
	old := watch(t, collector.Opts{Location: dir})
	old.want("n_total", 15+n)
	if err := os.Remove(archivePath(dir)); err != nil {
		t.Fatal(err)
	}
	if report := absorb(t, dir, compact.Opts{}); report.Absorbed != n || report.Batches != 2 {
		t.Errorf("report %+v", report)
	}
	c.Add(2)
	for _, s := range []*shown{old, watch(t, collector.Opts{Location: dir})} {
		s.want("n_total", 2)
		s.want("max", n-1)
	}
}

// A restart of totals is cut off before each step. The next absorption takes the bases anew, and a
// count in between is in no total twice.
func TestRestartOfTotalsCrashesAtEachStep(t *testing.T) {
	for _, call := range []string{"header", "read", "write", "sync", "keep", "publish", "syncRename"} {
		t.Run(call, func(t *testing.T) {
			dir := t.TempDir()
			lives := open(t, dir, store.Opts{})
			c := lives.NewCounter(prometheus.CounterOpts{Name: "n_total", Help: "h"})
			c.Add(40)
			die(t, dir, 30)
			absorb(t, dir, compact.Opts{})
			if err := os.Remove(archivePath(dir)); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				die(t, dir, 1)
			}
			crash := compact.Crash{Call: call}
			if call == "header" {
				crash = compact.Crash{Call: "read", Nth: 1}
			}
			crash.Run(t, dir, func() {})
			old := watch(t, collector.Opts{Location: dir})
			restarted := call == "syncRename"
			before := 0.0
			if restarted {
				before = 1
			}
			c.Inc()
			if !restarted {
				before = -1
			}
			old.want("n_total", before)
			absorb(t, dir, compact.Opts{})
			c.Inc()
			want := 1.0
			if restarted {
				want = 2
			}
			old.want("n_total", want)
			end(t, lives)
			absorb(t, dir, compact.Opts{})
			old.want("n_total", want)
			if got := total(t, dir); got != want {
				t.Errorf("new collector: total %v, want %v", got, want)
			}
		})
	}
}

// The file of a living process is damaged when totals restart. Nobody knows its counts, so the
// process counts again from the moment when its file can be read.
func TestArchiveAndFileDamagedTogether(t *testing.T) {
	dir := t.TempDir()
	lives := open(t, dir, store.Opts{})
	c := lives.NewCounter(prometheus.CounterOpts{Name: "n_total", Help: "h"})
	c.Add(40)
	die(t, dir, 30)
	absorb(t, dir, compact.Opts{})
	old := watch(t, collector.Opts{Location: dir})
	old.want("n_total", 70)
	path := sub(dir) + "/" + names(t, dir)[0]
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// Another file takes the place of the file: the owner finds the change a second later.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	write(t, path, whole[:len(whole)/2])
	if err := os.Remove(archivePath(dir)); err != nil {
		t.Fatal(err)
	}
	absorb(t, dir, compact.Opts{})
	promtest.Eventually(t, "the owner makes its file again", func() bool {
		now, err := os.Stat(path)
		return err == nil && now.Size() >= int64(len(whole))
	})
	absorb(t, dir, compact.Opts{})
	c.Add(2)
	old.want("n_total", 2)
	if got := total(t, dir); got != 2 {
		t.Errorf("new collector: total %v, want 2", got)
	}
}

// Somebody removes the archive and the files of living processes, but not compact.lock. Totals restart
// before the processes have made their files again: the files have counts that were shown before.
func TestArchiveAndFilesRemovedTogether(t *testing.T) {
	dir := t.TempDir()
	lives, other := open(t, dir, store.Opts{}), open(t, dir, store.Opts{})
	c := lives.NewCounter(prometheus.CounterOpts{Name: "n_total", Help: "h"})
	c.Add(40)
	other.NewCounter(prometheus.CounterOpts{Name: "n_total", Help: "h"}).Add(20)
	die(t, dir, 30)
	absorb(t, dir, compact.Opts{})
	old := watch(t, collector.Opts{Location: dir})
	old.want("n_total", 90)
	both := names(t, dir)
	for _, name := range append(both, layout.ArchiveName) {
		if err := os.Remove(filepath.Join(sub(dir), name)); err != nil {
			t.Fatal(err)
		}
	}
	absorb(t, dir, compact.Opts{})
	promtest.Eventually(t, "the owners make their files again", func() bool { return len(names(t, dir)) == len(both) })
	late := open(t, dir, store.Opts{})
	late.NewCounter(prometheus.CounterOpts{Name: "n_total", Help: "h"}).Add(5)
	want := func(when string, n float64) {
		t.Helper()
		old.want("n_total", n)
		if got := total(t, dir); got != n {
			t.Errorf("%s, new collector: total %v, want %v", when, got, n)
		}
	}
	want("files made again", 5)
	end(t, other)
	absorb(t, dir, compact.Opts{})
	want("one absorbed", 5)
	c.Add(2)
	want("counted", 7)
	end(t, lives)
	absorb(t, dir, compact.Opts{})
	want("both absorbed", 7)
}

// The base of a process without a file stays for a day, as long as a repair may bring the file back,
// and of a living process for ever.
func TestBasesOfMissingProcessesLeave(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir, store.Opts{}).NewCounter(prometheus.CounterOpts{Name: "n_total", Help: "h"})
	c.Add(40)
	stays := names(t, dir)[0]
	missing := open(t, dir, store.Opts{})
	missing.NewCounter(prometheus.CounterOpts{Name: "n_total", Help: "h"}).Add(20)
	die(t, dir, 30)
	absorb(t, dir, compact.Opts{})
	if err := os.Remove(archivePath(dir)); err != nil {
		t.Fatal(err)
	}
	absorb(t, dir, compact.Opts{})
	end(t, missing)
	for _, name := range names(t, dir) {
		if name != stays {
			if err := os.Remove(filepath.Join(sub(dir), name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, step := range []struct {
		later time.Duration
		want  int // bases, of the zero id too
	}{{later: time.Hour, want: 3}, {later: 25 * time.Hour, want: 1}} {
		in(t, dir, step.later, compact.Opts{})
		a, err := archive.Read(sub(dir))
		if err != nil {
			t.Fatal(err)
		}
		if got := len(a.Ledger.Bases); got != step.want {
			t.Errorf("after %v: %d bases, want %d", step.later, got, step.want)
		}
	}
	c.Add(1)
	if got := total(t, dir); got != 1 {
		t.Errorf("total %v, want 1", got)
	}
}

// A series is deleted and made again after totals have restarted: the series goes on with its base.
func TestSeriesMadeAgainAfterTheArchiveWasLost(t *testing.T) {
	dir := t.TempDir()
	lives := open(t, dir, store.Opts{})
	v := lives.NewCounterVec(prometheus.CounterOpts{Name: "n_total", Help: "h"}, []string{"l"})
	v.WithLabelValues("a").Add(40)
	die(t, dir, 30)
	absorb(t, dir, compact.Opts{})
	if err := os.Remove(archivePath(dir)); err != nil {
		t.Fatal(err)
	}
	absorb(t, dir, compact.Opts{})
	old := watch(t, collector.Opts{Location: dir})
	old.want("n_total", 0)
	v.WithLabelValues("a").Add(1)
	old.want("n_total", 1)
	v.Reset()
	v.WithLabelValues("a").Add(1)
	v.WithLabelValues("b").Add(1)
	want := func(when string) {
		t.Helper()
		sum := 0.0
		families, err := old.r.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "n_total" {
				for _, m := range f.GetMetric() {
					sum += m.GetCounter().GetValue()
				}
			}
		}
		if sum != 3 {
			t.Errorf("%s: total %v, want 3", when, sum)
		}
	}
	want("made again")
	end(t, lives)
	absorb(t, dir, compact.Opts{})
	want("absorbed")
}

// A directory that never had an archive begins with one: every count stays.
func TestFirstArchiveKeepsTheCounts(t *testing.T) {
	dir := t.TempDir()
	lives := newCounting(t, dir)
	lives.count(t, 1)
	dead := newCounting(t, dir)
	dead.count(t, 1)
	end(t, dead.Store)
	old := watch(t, collector.Opts{Location: dir})
	old.wantCounts("before", 2)
	absorb(t, dir, compact.Opts{})
	old.wantCounts("after", 2)
}
