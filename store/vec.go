package store

import "github.com/prometheus/client_golang/prometheus"

// single is an instrument that is a collector too, as those without labels are.
type single interface {
	instrument
	prometheus.Collector
}

// define puts a family without labels under a store: nil is the default one.
func define[I single](s *Store, f *family, i I) I {
	f.single, f.collector = i, i
	bindTo(s, f)
	return i
}

// defineVec puts a family with labels under a store: nil is the default one.
func defineVec(s *Store, f *family, make func(values ...string) instrument) *prometheus.MetricVec {
	vec := prometheus.NewMetricVec(f.desc, func(values ...string) prometheus.Metric {
		i := make(values...)
		f.start(i)
		return i
	})
	f.collector = vec
	bindTo(s, f)
	return vec
}

func bindTo(s *Store, f *family) {
	if s == nil {
		bindLate(f)
		return
	}
	s.bind(f)
}
