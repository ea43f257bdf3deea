package store

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/internal/foreign"
	"github.com/mpmetrics/mpmetrics/internal/fork"
	"github.com/mpmetrics/mpmetrics/internal/instrument"
)

// orDefault returns the store of a family: s, or the default store for nil. The default
// store is opened, if necessary.
func orDefault(s *Store) *Store {
	if s == nil {
		return defaultOnUse()
	}
	return s
}

// define puts a family without labels under a store: nil is the default store.
func define[I instrument.Single](s *Store, f *instrument.Family, i I) I {
	f.Single, f.Collector = i, i
	bindTo(s, f)
	return i
}

// defineVec puts a family with labels under a store: nil is the default store. as makes the vec
// of the family's type, and the registry holds that vec: a user who registers another vec of the
// name gets the vec of the store from prometheus.AlreadyRegisteredError.
func defineVec[V prometheus.Collector](s *Store, f *instrument.Family, make func(values ...string) instrument.Instrument, as func(*prometheus.MetricVec) V) V {
	vec := as(prometheus.NewMetricVec(f.Desc, func(values ...string) prometheus.Metric {
		i := make(values...)
		orDefault(s).catalog.Start(i)
		return i
	}))
	f.Collector = vec
	bindTo(s, f)
	return vec
}

func asCounterVec(v *prometheus.MetricVec) *prometheus.CounterVec {
	return &prometheus.CounterVec{MetricVec: v}
}

func asGaugeVec(v *prometheus.MetricVec) *prometheus.GaugeVec {
	return &prometheus.GaugeVec{MetricVec: v}
}

func asSummaryVec(v *prometheus.MetricVec) *prometheus.SummaryVec {
	return &prometheus.SummaryVec{MetricVec: v}
}

func asHistogramVec(v *prometheus.MetricVec) *prometheus.HistogramVec {
	return &prometheus.HistogramVec{MetricVec: v}
}

func bindTo(s *Store, f *instrument.Family) {
	if s == nil {
		f.OnUse = func() { defaultOnUse() }
		bindLate(f)
		return
	}
	s.bind(f)
}

// unbind is the opposite of bind for an own collector that was unregistered, or an equal collector.
func (s *Store) unbind(c prometheus.Collector) {
	descs := foreign.Describe(c)
	if len(descs) != 1 {
		return
	}
	for _, f := range s.catalog.Families() {
		if f.Desc.String() == descs[0].String() {
			s.catalog.Remove(f)
		}
	}
}

// bind makes the store the place where the family counts. bind panics for a duplicate, as
// promauto does.
func (s *Store) bind(f *instrument.Family) {
	fork.Notice() // before the registry waits for a goroutine, which may not run
	if err := s.registry.Register(f.Collector); err != nil && !f.Unlimited {
		panic(err) // a foreign metric may have the name of a metric about mpmetrics; the service must not end for it
	}
	if f.Mirrored && s.place.Shared() {
		s.foreign.Add(f.Collector)
	}
	s.catalog.Add(f)
}
