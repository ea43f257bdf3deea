// Package ours puts mpmetrics in the place of client_golang. The variable OTHERS_MODE says which part.
package ours

import (
	"log/slog"
	"os"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/store"
)

func init() {
	switch mode := os.Getenv("OTHERS_MODE"); mode {
	case "alone":
	case "memory":
		constructors(func() string { return "memory:" })
	case "directory":
		constructors(directory)
	case "registerer":
		prometheus.Replaced.NewRegistry = newRegistry
	default:
		panic("OTHERS_MODE is " + mode)
	}
}

// duringInit matches the stack of a variable of package level while the variable is initialized.
var duringInit = regexp.MustCompile(`\.init(\.\d+)?\(\)\n`)

// used makes the file $OTHERS_USED: a test that passes may have used nothing of mpmetrics.
func used() {
	if duringInit.Match(debug.Stack()) {
		return
	}
	if err := os.WriteFile(os.Getenv("OTHERS_USED"), nil, 0o600); err != nil {
		panic(err)
	}
}

func directory() string {
	dir, err := os.MkdirTemp("", "store")
	if err != nil {
		panic(err)
	}
	return dir
}

func open(location string) *store.Store {
	s, err := store.Open(store.Opts{Location: location, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	return s
}

// constructors makes the instruments of a test in one store.
func constructors(location func() string) {
	shared := open(location())
	prometheus.Replaced = prometheus.Replacements{
		NewCounter: func(o prometheus.CounterOpts) prometheus.Counter {
			return try(shared, location, func(s *store.Store) prometheus.Counter { return s.NewCounter(o) })
		},
		NewCounterVec: func(o prometheus.CounterVecOpts) *prometheus.CounterVec {
			return try(shared, location, func(s *store.Store) *prometheus.CounterVec { return s.V2().NewCounterVec(o) })
		},
		NewGauge: func(o prometheus.GaugeOpts) prometheus.Gauge {
			return try(shared, location, func(s *store.Store) prometheus.Gauge { return s.NewGauge(o) })
		},
		NewGaugeVec: func(o prometheus.GaugeVecOpts) *prometheus.GaugeVec {
			return try(shared, location, func(s *store.Store) *prometheus.GaugeVec { return s.V2().NewGaugeVec(o) })
		},
		NewHistogram: func(o prometheus.HistogramOpts) prometheus.Histogram {
			return try(shared, location, func(s *store.Store) prometheus.Histogram { return s.NewHistogram(o) })
		},
		NewHistogramVec: func(o prometheus.HistogramVecOpts) *prometheus.HistogramVec {
			return try(shared, location, func(s *store.Store) *prometheus.HistogramVec { return s.V2().NewHistogramVec(o) })
		},
		NewSummary: func(o prometheus.SummaryOpts) prometheus.Summary {
			return try(shared, location, func(s *store.Store) prometheus.Summary { return s.NewSummary(o) })
		},
		NewSummaryVec: func(o prometheus.SummaryVecOpts) *prometheus.SummaryVec {
			return try(shared, location, func(s *store.Store) *prometheus.SummaryVec { return s.V2().NewSummaryVec(o) })
		},
	}
}

// try makes an instrument in the shared store. A test may make a metric twice, or two metrics of one name
// that disagree: such an instrument is made in a store of its own. An invalid definition panics there, too.
func try[T any](shared *store.Store, location func() string, make func(*store.Store) T) (made T) {
	used()
	defer func() {
		if recover() != nil {
			made = make(open(location()))
		}
	}()
	return make(shared)
}

// registry is the Registerer of a store, and a Gatherer of the directory of the store.
type registry struct {
	prometheus.Registerer
	gatherer  prometheus.Gatherer
	collector *collector.Collector

	mu         sync.Mutex
	registered []prometheus.Collector
}

func newRegistry() prometheus.ReplacedRegistry {
	s := open(directory())
	o := collector.Opts{Store: s, CollectorErrors: true}
	none := prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) { return nil, nil })
	return &registry{Registerer: s.Registerer(), gatherer: collector.NewGatherer(none, o), collector: collector.New(o)}
}

// Gather leaves the metrics about mpmetrics out.
func (r *registry) Gather() ([]*dto.MetricFamily, error) {
	used()
	families, err := r.gatherer.Gather()
	return slices.DeleteFunc(families, func(f *dto.MetricFamily) bool { return strings.HasPrefix(f.GetName(), "mpmetrics_") }), err
}

// Register keeps the collector for Describe.
func (r *registry) Register(c prometheus.Collector) error {
	used()
	err := r.Registerer.Register(c)
	if err == nil {
		r.mu.Lock()
		r.registered = append(r.registered, c)
		r.mu.Unlock()
	}
	return err
}

// Describe and Collect are for a registry that is registered with another registry.
func (r *registry) Describe(ch chan<- *prometheus.Desc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.registered {
		c.Describe(ch)
	}
}

func (r *registry) Collect(ch chan<- prometheus.Metric) {
	all := make(chan prometheus.Metric)
	go func() {
		defer close(all)
		r.collector.Collect(all)
	}()
	for m := range all {
		if !strings.Contains(m.Desc().String(), `fqName: "mpmetrics_`) {
			ch <- m
		}
	}
}
