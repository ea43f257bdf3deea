//go:build unix

package trial

import (
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/reader"
	"github.com/mpmetrics/mpmetrics/internal/testing/effort"
	"github.com/mpmetrics/mpmetrics/store"
)

// replaced is how many series each goroutine of replace has at a time.
const replaced = 10

// replacePace is the least time between two rounds of a goroutine, as seriesPace is.
const replacePace = 2 * time.Millisecond

// replace deletes series and makes them again, for ever: args are the directory and the
// name of the writer. The value of a gauge says in which round it was made; a histogram goes
// on when it is made again. The gauges leave dead records, so the log is written anew again
// and again.
func replace(args []string) error {
	s, err := store.Open(store.Opts{Location: args[0], Logger: silent})
	if err != nil {
		return err
	}
	writer := prometheus.Labels{"writer": args[1]}
	rounds := s.NewCounterVec(prometheus.CounterOpts{Name: "whole_total", Help: "Rounds.", ConstLabels: writer}, []string{"goroutine"})
	made := s.NewGaugeVec(prometheus.GaugeOpts{Name: "made_total", Help: "Round of the making.", ConstLabels: writer}, []string{"goroutine", "n"}, store.Max)
	values := s.NewHistogramVec(prometheus.HistogramOpts{Name: "values", Help: "Rounds of the making.", ConstLabels: writer}, []string{"goroutine", "n"})
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			name := strconv.Itoa(g)
			for round := 1; ; round++ {
				n := strconv.Itoa(round % replaced)
				made.DeleteLabelValues(name, n)
				values.DeleteLabelValues(name, n)
				made.WithLabelValues(name, n).Set(float64(round))
				values.WithLabelValues(name, n).Observe(float64(round))
				rounds.WithLabelValues(name).Inc()
				witness(byte(g))
				time.Sleep(replacePace)
			}
		})
	}
	wg.Wait()
	return nil
}

// Killed at any moment of the rewrite of the series log, a process leaves each of its series
// once, each with its own value, and each observation of histograms that were deleted and made again.
func TestDeletionSIGKILL(t *testing.T) {
	kills := 24
	if effort.Soak() {
		kills = 2000
	}
	const writers = 4
	var mu sync.Mutex
	anew, series := 0, 0
	numbers := make(chan int)
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for n := range numbers {
				generation, made := killReplacing(t, strconv.Itoa(n))
				mu.Lock()
				anew, series = anew+generation, series+made
				mu.Unlock()
			}
		})
	}
	for n := range kills {
		numbers <- n
	}
	close(numbers)
	wg.Wait()
	if anew == 0 {
		t.Error("no log was written anew")
	}
	t.Logf("%d kills, %d series made again, logs written anew %d times", kills, series, anew)
}

// killReplacing kills one writer, and compares what it left with the witness.
func killReplacing(t *testing.T, writer string) (generation, made int) {
	dir := memoryDir(t)
	c := start(t, "replace", dir, writer)
	first, err := c.Output().ReadByte()
	if err != nil {
		t.Errorf("writer %s wrote nothing: %v", writer, err)
		return 0, 0
	}
	time.Sleep(rand.N(800 * time.Millisecond)) // any point will do
	c.Signal(syscall.SIGKILL)
	var rounds [goroutines]int
	for _, g := range append([]byte{first}, c.ended(t)...) {
		rounds[g]++
	}
	h, err := reader.ReadHeader(filepath.Join(dir, layout.Subdirectory, processFiles(t, dir)[0]))
	if err != nil {
		t.Error(err)
		return 0, 0
	}
	values := scrape(t, dir)
	for g, done := range rounds {
		name := strconv.Itoa(g)
		if got := values[key("whole_total", writer, name)].count; got != float64(done) && got != float64(done+1) {
			t.Errorf("writer %s, goroutine %s: %v rounds, %d were acknowledged", writer, name, got, done)
		}
		for round := max(1, done+1-replaced); round <= done; round++ {
			if (done+1)%replaced == round%replaced {
				continue // it was being made again
			}
			n := strconv.Itoa(round % replaced)
			if got := values[key("made_total", writer, name, n)]; got.count != float64(round) {
				t.Errorf("writer %s, goroutine %s: series %s is %v, want %d", writer, name, n, got.count, round)
			}
			count, sum := 0.0, 0.0
			for r := round; r > 0; r -= replaced {
				count, sum = count+1, sum+float64(r)
			}
			if got := values[key("values", writer, name, n)]; got.count != count || got.sum != sum {
				t.Errorf("writer %s, goroutine %s: histogram %s is %+v, want %v observations of %v", writer, name, n, got, count, sum)
			}
		}
		made += done
	}
	return int(h.Generation), 2 * made
}
