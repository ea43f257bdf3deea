//go:build unix

package soak

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/internal/testing/reexec"
	"github.com/mpmetrics/mpmetrics/store"
)

var programs = reexec.Programs{
	"work":   work,
	"burst":  burst,
	"absorb": absorb,
}

// silent takes the warnings of many short processes.
var silent = slog.New(slog.DiscardHandler)

const (
	pace       = 4 * time.Millisecond // of the rounds of a goroutine
	flushPace  = 50 * time.Millisecond
	goroutines = 2
)

// metrics are the metrics of one worker.
type metrics struct {
	board *board
	store *store.Store

	whole, halves    prometheus.Counter
	seconds, layouts prometheus.Histogram
	summary          prometheus.Summary
	labels           prometheus.Counter
	done, newest     prometheus.Gauge
	native           prometheus.Histogram
	churned          *prometheus.CounterVec
	mirrored         prometheus.Counter
	observed         prometheus.Histogram

	ordered sync.Mutex // orders the updates of which the last one counts

	mu        sync.Mutex
	unsettled [facts]uint64 // updates that no flush has written yet
}

func newMetrics(b *board, s *store.Store, version int) *metrics {
	help := fmt.Sprintf("Of version %d.", version)
	counter := func(name string) prometheus.CounterOpts { return prometheus.CounterOpts{Name: name, Help: help} }
	m := &metrics{board: b, store: s}
	m.whole = s.NewCounter(counter("soak_whole_total"))
	m.halves = s.NewCounter(counter("soak_halves_total"))
	m.seconds = s.NewHistogram(prometheus.HistogramOpts{Name: "soak_seconds", Help: help, Buckets: []float64{0.5, 1, 2}})
	m.layouts = s.NewHistogram(prometheus.HistogramOpts{Name: "soak_layouts", Help: help, Buckets: [][]float64{{0.5, 1, 5}, {0.5, 1, 2}}[version-1]})
	m.summary = s.NewSummary(prometheus.SummaryOpts{Name: "soak_summary", Help: help})
	m.labels = s.NewCounterVec(counter("soak_labels_total"), []string{"a", "b"}[:version]).WithLabelValues([]string{"x", "y"}[:version]...)
	m.done = s.NewGauge(prometheus.GaugeOpts{Name: "soak_done", Help: help}, store.Sum)
	m.newest = s.NewGauge(prometheus.GaugeOpts{Name: "soak_newest", Help: help}, store.Max)
	m.native = s.NewHistogram(prometheus.HistogramOpts{Name: "soak_native", Help: help, NativeHistogramBucketFactor: 1.1})
	m.churned = s.NewCounterVec(counter("soak_churned_total"), []string{"n"})
	// Families about which the versions do not agree at all stand beside the others.
	if version == 1 {
		s.NewCounter(counter("soak_types")).Inc()
	} else {
		s.NewGauge(prometheus.GaugeOpts{Name: "soak_types", Help: help}, store.Max).Set(1)
	}
	modes := []store.MergeMode{store.Max, store.Sum}
	s.NewGauge(prometheus.GaugeOpts{Name: "soak_modes", Help: help}, modes[version-1]).Set(1)

	others := promauto.With(s.Registerer())
	m.mirrored = others.NewCounter(counter("soak_mirrored_total"))
	m.observed = others.NewHistogram(prometheus.HistogramOpts{Name: "soak_observed", Help: help, Buckets: []float64{0.5, 1, 2}})
	return m
}

// live says that the process lives, by gauges of both kinds.
func (m *metrics) live() error {
	gauge := m.store.NewGauge(prometheus.GaugeOpts{Name: "soak_alive", Help: "The living."}, store.LiveSum)
	m.board.count(alive, func() { gauge.Set(1) })
	one := m.store.NewGauge(prometheus.GaugeOpts{Name: "soak_each", Help: "Each of the living."}, store.LiveAll)
	m.board.count(each, func() { one.Set(1) })
	there := promauto.With(m.store.Registerer()).NewGauge(prometheus.GaugeOpts{Name: "soak_present", Help: "The living."})
	there.Set(1)
	m.board.begun[present].Add(1)
	if err := m.flush(); err != nil {
		return err
	}
	m.board.certain[present].Add(1)
	return nil
}

// round is one update of each metric.
func (m *metrics) round(n int) {
	b := m.board
	b.count(whole, m.whole.Inc)
	b.count(halves, func() { m.halves.Add(0.5) })
	b.count(seconds, func() { m.seconds.Observe(1) })
	b.count(layouts, func() { m.layouts.Observe(1) })
	b.count(summary, func() { m.summary.Observe(1) })
	b.count(labels, m.labels.Inc)
	b.count(done, m.done.Inc)
	m.flushed(native, func() { m.native.Observe(1) })
	m.flushed(mirrored, m.mirrored.Inc)
	m.flushed(observed, func() { m.observed.Observe(1) })

	m.ordered.Lock()
	defer m.ordered.Unlock()
	b.raise(newest, m.newest.Set)
	label := n % churns
	if n%3 == 0 {
		m.churned.DeleteLabelValues(strconv.Itoa(label))
	}
	b.count(churned+fact(label), m.churned.WithLabelValues(strconv.Itoa(label)).Inc)
}

// flushed does an update that a flush writes.
func (m *metrics) flushed(f fact, update func()) {
	m.board.begun[f].Add(1)
	update()
	m.mu.Lock()
	m.unsettled[f]++
	m.mu.Unlock()
}

// flush flushes, and notes the updates that were done before as certain.
func (m *metrics) flush() error {
	return m.settle(func() error { return m.store.Flush(context.Background()) })
}

func (m *metrics) settle(write func() error) error {
	m.mu.Lock()
	before := m.unsettled
	m.mu.Unlock()
	if err := write(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for f, n := range before {
		m.unsettled[f] -= n
		m.board.certain[f].Add(n)
	}
	return nil
}

// work is a worker: until its standard input ends it counts, and serves the metrics of all. args
// are the directory, the board, the version, and how many rounds a goroutine does: 0, until the end.
func work(args []string) error {
	version, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	rounds, err := strconv.Atoi(args[3])
	if err != nil {
		return err
	}
	b, err := openBoard(args[1])
	if err != nil {
		return err
	}
	s, err := store.Open(store.Opts{Location: args[0], Logger: silent})
	if err != nil {
		return err
	}
	m := newMetrics(b, s, version)
	if err := m.live(); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector.New(collector.Opts{Location: args[0], Store: s, Logger: silent}))
	go func() { _ = http.Serve(l, promhttp.HandlerFor(registry, promhttp.HandlerOpts{})) }() // ends with the process
	fmt.Println(l.Addr())

	stop := make(chan struct{})
	var counting, flushing sync.WaitGroup
	for range goroutines {
		counting.Go(func() {
			for n := 0; rounds == 0 || n < rounds; n++ {
				select {
				case <-stop:
					return
				case <-time.After(pace):
				}
				m.round(n)
			}
		})
	}
	failed := make(chan error, 1)
	flushing.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(flushPace):
			}
			if err := m.flush(); err != nil {
				failed <- err
				return
			}
		}
	})
	_, _ = io.Copy(io.Discard, os.Stdin)
	close(stop)
	counting.Wait()
	flushing.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return m.settle(s.Close)
	}
}

// burst counts from the first moment on, as fast as possible, until it is killed. args are as for work.
func burst(args []string) error {
	b, err := openBoard(args[1])
	if err != nil {
		return err
	}
	s, err := store.Open(store.Opts{Location: args[0], Logger: silent})
	if err != nil {
		return err
	}
	m := newMetrics(b, s, 1)
	for n := 0; ; n++ {
		m.round(n)
		time.Sleep(pace / 10)
	}
}

// absorb absorbs for ever. args are the directory.
func absorb(args []string) error {
	for {
		_, err := compact.Run(context.Background(), args[0], compact.Opts{Limits: compact.Limits{CoreShare: 0.2}, Logger: silent})
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, compact.ErrBusy) && !errors.Is(err, compact.ErrChanged) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}
