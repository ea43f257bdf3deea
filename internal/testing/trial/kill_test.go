//go:build unix

package trial

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/internal/testing/effort"
	"github.com/mpmetrics/mpmetrics/store"
)

const goroutines = 4

// Bytes of the witness: the number of a goroutine says that it has finished a
// round of updates, the same plus madeSeries that the series of a round exists.
const madeSeries = goroutines

// seriesPace is the least time between two new series of a goroutine: eight writers
// of four goroutines would make more series than the rest of the test has time for.
// Bursts have a test of their own.
const seriesPace = time.Millisecond

// count counts for ever: args are the directory and the name of the writer.
// Each round adds to a counter, a float counter and a histogram, and the
// witness learns of it afterwards.
func count(args []string) error {
	s, err := store.Open(store.Opts{Location: args[0]})
	if err != nil {
		return err
	}
	writer := prometheus.Labels{"writer": args[1]}
	whole := s.NewCounterVec(prometheus.CounterOpts{Name: "whole_total", Help: "Rounds.", ConstLabels: writer}, []string{"goroutine"})
	half := s.NewCounterVec(prometheus.CounterOpts{Name: "half_total", Help: "Rounds, halves.", ConstLabels: writer}, []string{"goroutine"})
	values := s.NewHistogramVec(prometheus.HistogramOpts{Name: "values", Help: "Ones.", ConstLabels: writer}, []string{"goroutine"})
	shared := s.NewHistogram(prometheus.HistogramOpts{Name: "shared", Help: "Ones of all goroutines.", ConstLabels: writer})
	made := s.NewCounterVec(prometheus.CounterOpts{Name: "made_total", Help: "Series.", ConstLabels: writer}, []string{"goroutine", "n"})
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			name := strconv.Itoa(g)
			var last time.Time
			for n := 0; ; {
				whole.WithLabelValues(name).Inc()
				half.WithLabelValues(name).Add(0.5)
				values.WithLabelValues(name).Observe(1)
				shared.Observe(1)
				witness(byte(g))
				if now := time.Now(); now.Sub(last) >= seriesPace {
					made.WithLabelValues(name, strconv.Itoa(n))
					witness(byte(madeSeries + g))
					n, last = n+1, now
				}
			}
		})
	}
	wg.Wait()
	return nil
}

// witness is one write of one byte: it has happened or it has not.
func witness(b byte) {
	if _, err := os.Stdout.Write([]byte{b}); err != nil {
		os.Exit(0) // the test has ended
	}
}

// An update that has returned survives SIGKILL, and none is counted twice.
// Eight writers of four goroutines are killed at random points, over and over;
// the merged result is compared with the witness, series by series.
func TestSIGKILLLosesNoUpdate(t *testing.T) {
	kills := 200
	if effort.Soak() {
		kills = 10_000
	}
	const writers = 8
	dir := t.TempDir()
	acknowledged := make([][]byte, kills)

	done := make(chan struct{})
	watched := make(chan int)
	go func() { watched <- watch(t, dir, done) }()

	numbers := make(chan int)
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for n := range numbers {
				c := start(t, "count", dir, strconv.Itoa(n))
				first, err := c.Output().ReadByte()
				if err != nil {
					t.Errorf("writer %d wrote nothing: %v", n, err)
					return
				}
				time.Sleep(rand.N(60 * time.Millisecond)) // any point will do
				c.Signal(syscall.SIGKILL)
				acknowledged[n] = append([]byte{first}, c.ended(t)...)
			}
		})
	}
	for n := range kills {
		numbers <- n
	}
	close(numbers)
	wg.Wait()
	close(done)
	scrapes := <-watched

	values := scrape(t, dir)
	var updates, series int
	for n, acks := range acknowledged {
		var rounds, made [goroutines]int
		for _, b := range acks {
			if b < madeSeries {
				rounds[b]++
			} else {
				made[b-madeSeries]++
			}
		}
		writer := strconv.Itoa(n)
		total := 0
		for g := range goroutines {
			updates, series, total = updates+rounds[g], series+made[g], total+rounds[g]
			name := strconv.Itoa(g)
			checkRounds(t, values, writer, name, rounds[g])
			for i := range made[g] {
				if _, ok := values[key("made_total", writer, name, strconv.Itoa(i))]; !ok {
					t.Errorf("writer %s: series %d of goroutine %s is lost, %d were acknowledged", writer, i, name, made[g])
				}
			}
		}
		got := values[key("shared", writer)]
		if got.count < float64(total) || got.count > float64(total+goroutines) || got.sum != got.count || got.last != got.count {
			t.Errorf("writer %s: shared histogram %+v, want %d to %d", writer, got, total, total+goroutines)
		}
	}
	t.Logf("%d kills, %d rounds of 4 updates and %d new series acknowledged, %d scrapes meanwhile", kills, updates, series, scrapes)
}

// checkRounds compares what one goroutine counted with what it acknowledged:
// at the kill it was in one round at most.
func checkRounds(t *testing.T, values map[string]value, writer, name string, rounds int) {
	t.Helper()
	low, high := float64(rounds), float64(rounds+1)
	for _, test := range []struct {
		family string
		scale  float64
	}{{"whole_total", 1}, {"half_total", 2}, {"values", 1}} {
		got := values[key(test.family, writer, name)]
		if n := got.count * test.scale; n < low || n > high {
			t.Errorf("writer %s, goroutine %s: %s says %v, %d were acknowledged", writer, name, test.family, n, rounds)
		}
	}
	if h := values[key("values", writer, name)]; h.sum != h.count || h.last != h.count {
		t.Errorf("writer %s, goroutine %s: histogram %+v is not of one instant", writer, name, h)
	}
}

// watch scrapes until done and reports every series that goes down or away.
func watch(t *testing.T, dir string, done <-chan struct{}) (scrapes int) {
	c := collector.New(collector.Opts{Location: dir})
	defer c.Close()
	before := map[string]value{}
	for {
		select {
		case <-done:
			return scrapes
		default:
		}
		now := gather(t, c)
		scrapes++
		for k, v := range before {
			if n, ok := now[k]; !ok || n.count < v.count {
				t.Errorf("scrape %d: %s from %v to %v", scrapes, k, v.count, n.count)
			}
		}
		before = now
	}
}

// value is what a sample says: of a counter the value as count, of a histogram
// the last bucket too.
type value struct{ count, sum, last float64 }

func key(family string, labels ...string) string { return fmt.Sprint(family, labels) }

func scrape(t *testing.T, dir string) map[string]value {
	t.Helper()
	c := collector.New(collector.Opts{Location: dir})
	defer c.Close()
	return gather(t, c)
}

// gather returns what a collector shows by family, writer and other labels, all
// but the metrics about mpmetrics.
func gather(t *testing.T, c *collector.Collector) map[string]value {
	t.Helper()
	r := prometheus.NewRegistry()
	r.MustRegister(c)
	families, err := r.Gather()
	if err != nil {
		t.Error(err)
	}
	values := map[string]value{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			switch f.GetName() {
			case "mpmetrics_up":
				if m.GetGauge().GetValue() != 1 {
					t.Error("mpmetrics_up is not 1")
				}
			case "whole_total", "half_total", "values", "shared", "made_total", "ones":
				values[keyOf(f.GetName(), m)] = valueOf(m)
			}
		}
	}
	return values
}

func keyOf(family string, m *dto.Metric) string {
	byName := map[string]string{}
	for _, l := range m.GetLabel() {
		byName[l.GetName()] = l.GetValue()
	}
	var labels []string
	for _, name := range []string{"writer", "goroutine", "n"} {
		if v, ok := byName[name]; ok {
			labels = append(labels, v)
		}
	}
	return key(family, labels...)
}

func valueOf(m *dto.Metric) value {
	if h := m.GetHistogram(); h != nil {
		v := value{count: float64(h.GetSampleCount()), sum: h.GetSampleSum()}
		before := 0.0
		for _, b := range h.GetBucket() {
			if v.last = float64(b.GetCumulativeCount()); v.last < before {
				v.last = math.NaN() // equal to nothing
			}
			before = v.last
		}
		return v
	}
	return value{count: m.GetCounter().GetValue() + m.GetGauge().GetValue()}
}
