//go:build unix

package trial

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/internal/testing/effort"
	"github.com/mpmetrics/mpmetrics/store"
)

const (
	grownSeries = 100_000
	growPerTick = 10 // each 10 ms: 1,000 a second
)

// grow makes 100,000 series at once, then 1,000 a second, and says how many
// exist after each step. args is the directory.
func grow(args []string) error {
	s, err := store.Open(store.Opts{Location: args[0], MaxSeries: 10 * grownSeries})
	if err != nil {
		return err
	}
	made := s.NewCounterVec(prometheus.CounterOpts{Name: "made_total", Help: "Series."}, []string{"n"})
	next := 0
	step := func(n int) error {
		for range n {
			made.WithLabelValues(strconv.Itoa(next))
			next++
		}
		_, err := fmt.Println(next)
		return err
	}
	// In portions, so that the room for the next one is there: what overtakes
	// the background work is published a moment later.
	for next < grownSeries {
		if err := step(100); err != nil {
			return err
		}
		time.Sleep(100 * time.Microsecond)
	}
	for range time.Tick(10 * time.Millisecond) {
		if err := step(growPerTick); err != nil {
			os.Exit(0) // the test has ended
		}
	}
	return nil
}

// While a process with 100,000 series makes 1,000 a second more, every
// scrape succeeds and has every series whose constructor returned before it
// began.
func TestScrapeUnderNewSeries(t *testing.T) {
	scrapes := effort.Rounds(5, 30, 10_000)
	dir := t.TempDir()
	child := start(t, "grow", dir)
	var returned atomic.Int64
	full := make(chan struct{})
	go func() {
		lines := bufio.NewScanner(child.Output())
		for lines.Scan() {
			n, err := strconv.Atoi(lines.Text())
			if err != nil {
				t.Errorf("child wrote %q", lines.Text())
			}
			returned.Store(int64(n))
			if n == grownSeries {
				close(full)
			}
		}
	}()
	<-full
	c := collector.New(collector.Opts{Location: dir})
	defer c.Close()
	begin := time.Now()
	collectSeries(t, c)
	first := time.Since(begin)
	var times []time.Duration
	for n := range scrapes {
		want := int(returned.Load())
		begin := time.Now()
		got := collectSeries(t, c)
		times = append(times, time.Since(begin))
		if got < want {
			t.Errorf("scrape %d shows %d series, %d existed before it began", n, got, want)
		}
	}
	slices.Sort(times)
	t.Logf("%d scrapes of %d series and more, without a registry's part: the first %v, then median %v, p99 %v",
		scrapes, grownSeries, first, times[len(times)/2], times[len(times)*99/100])
}

// collectSeries collects and counts the series that are not about mpmetrics.
func collectSeries(t *testing.T, c *collector.Collector) int {
	t.Helper()
	n, self := 0, selfSeries(t)
	for range collect(c) {
		n++
	}
	return n - self
}

// selfSeries is how many series a collector of an empty directory shows.
var selfSeriesCount int

func selfSeries(t *testing.T) int {
	t.Helper()
	if selfSeriesCount == 0 {
		c := collector.New(collector.Opts{Location: t.TempDir()})
		defer c.Close()
		for range collect(c) {
			selfSeriesCount++
		}
	}
	return selfSeriesCount
}
