//go:build unix

package trial

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/internal/testing/effort"
	"github.com/mpmetrics/mpmetrics/store"
)

// absorbOnce absorbs what there is and says what that took: args is the
// directory. A process of its own has a peak memory of its own.
func absorbOnce(args []string) error {
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	resident := peakResident()
	var peak atomic.Uint64
	go func() {
		for range time.Tick(5 * time.Millisecond) {
			var now runtime.MemStats
			runtime.ReadMemStats(&now)
			peak.Store(max(peak.Load(), now.HeapInuse))
		}
	}()
	begin := time.Now()
	report, err := compact.Run(context.Background(), args[0], compact.Opts{Limits: compact.Limits{CoreShare: 1}, Logger: silent})
	if err != nil {
		return err
	}
	fmt.Printf("%v at full speed: %v, %.1f MiB of heap at most, %s resident, of which %s before\n", report,
		time.Since(begin).Round(time.Millisecond), float64(max(peak.Load(), before.HeapInuse))/(1<<20), peakResident(), resident)
	return nil
}

// peakResident is what the kernel says of the largest resident set of this
// process, where it says that. What getrusage says includes the parent's.
func peakResident() string {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return "unknown"
	}
	_, peak, _ := strings.Cut(string(status), "VmHWM:")
	peak, _, _ = strings.Cut(peak, "\n")
	return strings.TrimSpace(peak)
}

// leaveDead leaves the files of so many processes with ten series each.
func leaveDead(t testing.TB, dir string, processes int) {
	t.Helper()
	for range processes {
		s, err := store.Open(store.Opts{Location: dir, NoAbsorption: true, Logger: silent})
		if err != nil {
			t.Fatal(err)
		}
		vec := s.NewCounterVec(prometheus.CounterOpts{Name: "left_total", Help: "Left."}, []string{"n"})
		for _, n := range numbers(10) {
			vec.WithLabelValues(n).Inc()
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A crowd of dead files beside many living processes is absorbed, and no
// scrape takes long meanwhile. The race detector makes everything about ten
// times slower, and so a normal run has fewer of both.
func TestScrapeWhileManyDeadAreAbsorbed(t *testing.T) {
	dead, live, series := 2000, 20, 1000
	if effort.Soak() {
		dead, live = 10_000, 100
	}
	const slow = 2 * time.Second
	dir := memoryDir(t)
	for range live {
		crowd(t, dir, series)
	}
	l := newLedger()
	o := newObserver(t, l, collector.Opts{Location: dir})
	before := medianScrape(t, o)
	begin := time.Now()
	leaveDead(t, dir, dead)
	made := time.Since(begin)

	// Scraped once a second, as a server would that is in a hurry. The dead leave
	// the files for the archive, not the total.
	begin = time.Now()
	scrapes, first, slowest := 0, time.Duration(0), time.Duration(0)
	for tick := time.Tick(time.Second); len(processFiles(t, dir)) > live; scrapes++ {
		start := time.Now()
		checkTotals(t, o, float64(live), float64(dead))
		took := time.Since(start)
		if scrapes == 0 {
			first = took
		}
		slowest = max(slowest, took)
		if time.Since(begin) > 5*time.Minute {
			t.Fatalf("%d files are left", len(processFiles(t, dir)))
		}
		<-tick
	}
	absorbed := time.Since(begin)
	if slowest > slow {
		t.Errorf("a scrape took %v, want %v at most", slowest, slow)
	}
	checkTotals(t, o, float64(live), float64(dead))
	after := medianScrape(t, o)
	if after > 3*before {
		t.Errorf("a scrape took %v before and takes %v after", before, after)
	}
	t.Logf("%d dead × 10 series beside %d living × %d, made in %v: absorbed in %v by a collector; "+
		"a scrape took %v before, %v the first time, %v at most, and takes %v after",
		dead, live, series, made.Round(time.Millisecond), absorbed.Round(time.Millisecond), before, first, slowest, after)

	// Once more by a process of its own.
	leaveDead(t, dir, dead)
	c := start(t, "absorb", dir)
	t.Logf("the same once more: %s", c.ended(t))
	checkTotals(t, o, float64(live), float64(2*dead))
}

// checkTotals scrapes once and compares with the only possible result.
func checkTotals(t *testing.T, o *observer, crowd, left float64) {
	t.Helper()
	families, err := o.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		want := map[string]float64{"crowd_total": crowd, "left_total": left}[f.GetName()]
		for _, m := range f.GetMetric() {
			if got := m.GetCounter().GetValue(); want > 0 && got != want {
				t.Fatalf("%s %v: got %v, want %v", f.GetName(), m.GetLabel(), got, want)
			}
		}
	}
}

// Scraping and absorbing keep few descriptors, however many files there are: a
// service must not run out of them because of its metrics.
func TestDescriptors(t *testing.T) {
	const (
		live, dead = 300, 1000
		limit      = 1200
		atMost     = limit/8 + 16 // an eighth is kept, and some are open for a moment
	)
	lower(t, limit)
	dir := memoryDir(t)
	for range live {
		crowd(t, dir, 10)
	}
	leaveDead(t, dir, dead)
	before := descriptors(t)
	most := before
	done := make(chan struct{})
	var sampling sync.WaitGroup
	sampling.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(100 * time.Microsecond):
				most = max(most, descriptors(t))
			}
		}
	})
	o := newObserver(t, newLedger(), collector.Opts{Location: dir, Absorption: compact.Limits{CoreShare: 1}})
	scrapes := 0
	for limit := time.Now().Add(time.Minute); len(processFiles(t, dir)) > live && time.Now().Before(limit); scrapes++ {
		checkTotals(t, o, live, dead)
	}
	checkTotals(t, o, live, dead)
	close(done)
	sampling.Wait()
	if most-before > atMost {
		t.Errorf("%d descriptors more than before were open at a time, want %d at most", most-before, atMost)
	}
	if n := len(processFiles(t, dir)); n != live {
		t.Errorf("%d files, want those of %d living processes", n, live)
	}
	t.Logf("%d descriptors more than before at most, in %d scrapes of %d living and %d dead processes and their absorption", most-before, scrapes, live, dead)
}

// lower lowers the limit of descriptors while the test runs.
func lower(t *testing.T, descriptors int) {
	t.Helper()
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	lower := before
	bound(&lower.Cur, descriptors)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &lower); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Setrlimit(unix.RLIMIT_NOFILE, &before) })
}

// bound bounds a limit, whose type differs between systems.
func bound[T int64 | uint64](limit *T, most int) { *limit = min(*limit, T(most)) }

// descriptors is how many are open, but for the one that this takes.
func descriptors(t testing.TB) int {
	entries, err := os.ReadDir("/dev/fd")
	if err != nil {
		t.Errorf("what is open? %v", err)
	}
	return len(entries)
}
