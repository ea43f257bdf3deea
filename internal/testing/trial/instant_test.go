//go:build unix

package trial

import (
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/internal/testing/effort"
	"github.com/mpmetrics/mpmetrics/store"
)

// observe observes the value 1 for ever, in four goroutines: args is the
// directory.
func observe(args []string) error {
	// The scraper is one against many: without this it would wait for a core
	// most of the time.
	if err := syscall.Setpriority(syscall.PRIO_PROCESS, 0, 10); err != nil {
		return err
	}
	s, err := store.Open(store.Opts{Location: args[0]})
	if err != nil {
		return err
	}
	ones := s.NewHistogram(prometheus.HistogramOpts{Name: "ones", Help: "Ones.", Buckets: []float64{0.5, 1, 2}})
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for {
				ones.Observe(1)
			}
		})
	}
	witness('r')
	wg.Wait()
	return nil
}

// Count, sum and buckets are of one instant in every scrape, with 16
// observers that are stopped, continued and killed at random. All observe 1, so
// that sum and count must be equal.
func TestHistogramOfOneInstantUnderSIGKILL(t *testing.T) {
	scrapes := effort.Rounds(20_000, 100_000, 1_000_000)
	const observers = 4 // of four goroutines
	dir := t.TempDir()
	ready := func() *child {
		c := start(t, "observe", dir)
		if _, err := c.Output().ReadByte(); err != nil {
			t.Fatal(err)
		}
		return c
	}
	children := make([]*child, observers)
	for i := range children {
		children[i] = ready()
	}
	c := collector.New(collector.Opts{Location: dir})
	defer c.Close()
	var before float64
	var stops, kills int
	for n := range scrapes {
		if n%500 == 499 {
			i := rand.IntN(observers)
			switch victim := children[i]; {
			case n%10_000 == 9_999:
				victim.Signal(syscall.SIGKILL)
				victim.ended(t)
				children[i] = ready()
				kills++
			case n%1000 == 999:
				victim.Signal(syscall.SIGSTOP)
				stops++
			default:
				for _, c := range children {
					c.Signal(syscall.SIGCONT)
				}
			}
		}
		h := histogramOf(t, c)
		if h.last != h.count || h.sum != h.count {
			t.Fatalf("scrape %d: %+v is not of one instant", n, h)
		}
		if h.count < before {
			t.Fatalf("scrape %d: from %v to %v", n, before, h.count)
		}
		before = h.count
	}
	t.Logf("%d scrapes, %d stops, %d kills, %v observations", scrapes, stops, kills, before)
}

// histogramOf returns the only histogram of a collector.
func histogramOf(t *testing.T, c *collector.Collector) value {
	t.Helper()
	var found value
	for m := range collect(c) {
		var out dto.Metric
		if err := m.Write(&out); err != nil {
			t.Fatal(err)
		}
		if out.Histogram != nil {
			found = valueOf(&out)
		}
	}
	return found
}
