//go:build unix

package trial

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/testing/effort"
	"github.com/mpmetrics/mpmetrics/store"
)

// Short processes one after the other leave neither files nor time behind,
// and are all counted: a collector that scrapes each 100 ms absorbs them.
//
// In a normal run ten of them share a child of the test, of which the last ends
// without Close or is killed. To readers there is no difference.
func TestManyShortProcesses(t *testing.T) {
	const (
		atMost   = 1000 // files, at any time
		live     = 4
		interval = 100 * time.Millisecond
	)
	processes := effort.Rounds(1000, 5000, 5000)
	perChild := 10
	if effort.Soak() {
		perChild = 1
	}
	dir, l := memoryDir(t), newLedger()
	for range live {
		crowd(t, dir, 100)
	}
	o := newObserver(t, l, collector.Opts{Location: dir})
	// Nobody does anything but scraping.
	absorbed := func() {
		t.Helper()
		for limit := time.Now().Add(30 * time.Second); len(processFiles(t, dir)) > live && time.Now().Before(limit); {
			o.scrape(t)
			time.Sleep(interval)
		}
	}
	// The first of them make the series that are there in the end too.
	next := func(n int) { l.child(t, dir, perChild, n/perChild%2 == 0) }
	next(0)
	absorbed()
	before := medianScrape(t, o)

	done := make(chan struct{})
	files := 0
	var scraping sync.WaitGroup
	scraping.Go(func() {
		for tick := time.Tick(interval); ; {
			o.scrape(t)
			files = max(files, len(listing(t, dir)))
			select {
			case <-done:
				return
			case <-tick:
			}
		}
	})
	begin := time.Now()
	for n := perChild; n < processes; n += perChild {
		next(n)
	}
	took := time.Since(begin)
	close(done)
	scraping.Wait()
	if files >= atMost {
		t.Errorf("%d files at a time, want fewer than %d", files, atMost)
	}

	absorbed()
	names := slices.DeleteFunc(listing(t, dir), func(name string) bool { return slices.Contains(processFiles(t, dir), name) })
	if want := []string{layout.ArchiveName, layout.LockName}; !slices.Equal(names, want) || len(processFiles(t, dir)) != live {
		t.Errorf("in the end there are %d files of processes and %v, want %d and %v", len(processFiles(t, dir)), names, live, want)
	}
	got := o.scrape(t)
	maps.DeleteFunc(got, func(k string, _ value) bool { return strings.HasPrefix(k, "crowd_total") })
	l.check(t, got)
	if n := o.self(t, "mpmetrics_absorbed_processes_total"); n != float64(processes) {
		t.Errorf("%v processes were absorbed, want %d", n, processes)
	}
	after := medianScrape(t, o)
	ratio := float64(after) / float64(before)
	// The benchmarks say how flat it is. Two minutes on a busy machine are not
	// the same; that it grows with the number of the dead would show.
	if ratio > 3 {
		t.Errorf("a scrape took %v in the beginning and takes %v in the end", before, after)
	}
	t.Logf("%d processes in %v, %d files at most; a scrape took %v before and takes %v after: %.2f; %d scrapes meanwhile, the slowest %v",
		processes, took.Round(time.Millisecond), files, before, after, ratio, o.scrapes, o.slowest)
}

// medianScrape is how long a scrape takes.
func medianScrape(t *testing.T, o *observer) time.Duration {
	t.Helper()
	times := make([]time.Duration, 101)
	for i := range times {
		begin := time.Now()
		if _, err := o.registry.Gather(); err != nil {
			t.Fatal(err)
		}
		times[i] = time.Since(begin)
	}
	slices.Sort(times)
	return times[len(times)/2]
}

// crowd is a process with so many series, which lives as long as the test.
func crowd(t testing.TB, dir string, series int) *store.Store {
	t.Helper()
	s, err := store.Open(store.Opts{Location: dir, NoAbsorption: true, Logger: silent})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	vec := s.NewCounterVec(prometheus.CounterOpts{Name: "crowd_total", Help: "Many."}, []string{"n"})
	for _, n := range numbers(series) {
		vec.WithLabelValues(n).Inc()
	}
	return s
}
