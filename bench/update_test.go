package main

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// updates are the calls that a service makes all the time. Each returns its loop for one goroutine, and for several
// that share the instrument. The loops count to b.N: b.Loop would take as long as what is measured.
var updates = []struct {
	op    string
	loops func(maker) (func(*testing.B), func(*testing.PB))
}{
	{"Inc", inc},
	{"Add(1.5)", add},
	{"Set", set},
	{"Observe", observe},
	{"WithLabelValues(1).Inc", incOneLabel},
	{"WithLabelValues(2).Inc", incTwoLabels},
}

func BenchmarkUpdate(b *testing.B) {
	for _, u := range updates {
		b.Run("op="+u.op, func(b *testing.B) {
			b.Run("goroutines=1", func(b *testing.B) {
				pair(b,
					func(b *testing.B) { one, _ := u.loops(clientGolang()); one(b) },
					func(b *testing.B) { one, _ := u.loops(mpmetrics(b)); one(b) })
			})
			b.Run("goroutines=cores", func(b *testing.B) {
				pair(b,
					func(b *testing.B) { _, several := u.loops(clientGolang()); b.RunParallel(several) },
					func(b *testing.B) { _, several := u.loops(mpmetrics(b)); b.RunParallel(several) })
			})
		})
	}
}

func inc(m maker) (func(*testing.B), func(*testing.PB)) {
	c := m.NewCounter(prometheus.CounterOpts{Name: "requests_total", Help: "Requests."})
	one := func(b *testing.B) {
		for range b.N {
			c.Inc()
		}
	}
	several := func(pb *testing.PB) {
		for pb.Next() {
			c.Inc()
		}
	}
	return one, several
}

func add(m maker) (func(*testing.B), func(*testing.PB)) {
	c := m.NewCounter(prometheus.CounterOpts{Name: "seconds_total", Help: "Seconds."})
	one := func(b *testing.B) {
		for range b.N {
			c.Add(1.5)
		}
	}
	several := func(pb *testing.PB) {
		for pb.Next() {
			c.Add(1.5)
		}
	}
	return one, several
}

func set(m maker) (func(*testing.B), func(*testing.PB)) {
	g := m.NewGauge(prometheus.GaugeOpts{Name: "queue_length", Help: "Jobs that wait."})
	one := func(b *testing.B) {
		for range b.N {
			g.Set(1.5)
		}
	}
	several := func(pb *testing.PB) {
		for pb.Next() {
			g.Set(1.5)
		}
	}
	return one, several
}

func observe(m maker) (func(*testing.B), func(*testing.PB)) {
	h := m.NewHistogram(prometheus.HistogramOpts{Name: "duration_seconds", Help: "Durations."})
	const v = 0.3 // in the seventh of the eleven default buckets
	one := func(b *testing.B) {
		for range b.N {
			h.Observe(v)
		}
	}
	several := func(pb *testing.PB) {
		for pb.Next() {
			h.Observe(v)
		}
	}
	return one, several
}

func incOneLabel(m maker) (func(*testing.B), func(*testing.PB)) {
	v := m.NewCounterVec(prometheus.CounterOpts{Name: "requests_total", Help: "Requests."}, []string{"code"})
	one := func(b *testing.B) {
		for range b.N {
			v.WithLabelValues("200").Inc()
		}
	}
	several := func(pb *testing.PB) {
		for pb.Next() {
			v.WithLabelValues("200").Inc()
		}
	}
	return one, several
}

func incTwoLabels(m maker) (func(*testing.B), func(*testing.PB)) {
	v := m.NewCounterVec(prometheus.CounterOpts{Name: "requests_total", Help: "Requests."}, []string{"code", "method"})
	one := func(b *testing.B) {
		for range b.N {
			v.WithLabelValues("200", "GET").Inc()
		}
	}
	several := func(pb *testing.PB) {
		for pb.Next() {
			v.WithLabelValues("200", "GET").Inc()
		}
	}
	return one, several
}
