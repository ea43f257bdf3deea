package main

import (
	"fmt"
	"math/bits"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/store"
)

// BenchmarkSlowLatency makes increments at a rate that leaves the machine time, while all is scraped each second, and
// reports what only one of a thousand takes longer than.
func BenchmarkSlowLatency(b *testing.B) {
	const (
		writers = 64
		each    = time.Millisecond
		batch   = 16 // 10⁶ in a second together
		takes   = 2200 * time.Millisecond
	)
	run := func(fresh func(*testing.B) (maker, prometheus.Gatherer)) func(*testing.B) {
		return func(b *testing.B) {
			m, registry := fresh(b)
			vec := m.NewCounterVec(prometheus.CounterOpts{Name: "requests_total", Help: "Requests."}, []string{"path"})
			var all latencies
			for range b.N {
				var mu sync.Mutex
				var working sync.WaitGroup
				end := time.Now().Add(takes)
				for _, value := range labelValues(writers) {
					c := vec.WithLabelValues(value)
					working.Go(func() {
						var own latencies
						for next := time.Now(); next.Before(end); next = next.Add(each) {
							time.Sleep(time.Until(next))
							for range batch {
								begin := time.Now()
								c.Inc()
								own.note(time.Since(begin))
							}
						}
						mu.Lock()
						defer mu.Unlock()
						all.add(&own)
					})
				}
				for next := time.Now().Add(takes / 5); next.Before(end); next = next.Add(time.Second) {
					time.Sleep(time.Until(next))
					scrape(b, registry)
				}
				working.Wait()
			}
			b.ReportMetric(float64(all.quantile(0.999)), "p99.9-ns")
		}
	}
	b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
		pair(b,
			run(func(*testing.B) (maker, prometheus.Gatherer) {
				r := prometheus.NewRegistry()
				return promauto.With(r), r
			}),
			run(func(b *testing.B) (maker, prometheus.Gatherer) {
				s, err := store.Open(store.Opts{Location: directory(b)})
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(func() { _ = s.Close() })
				c := collector.New(collector.Opts{Store: s})
				b.Cleanup(func() { _ = c.Close() })
				r := prometheus.NewRegistry()
				r.MustRegister(c)
				return fileMaker{s}, r
			}))
	})
}

// latencies counts durations, each power of two in 32 parts.
type latencies struct{ n [64 << partBits]uint64 }

const partBits = 5

func (l *latencies) note(d time.Duration) {
	v := uint64(max(d, 0))
	if v < 1<<partBits {
		l.n[v]++
		return
	}
	exponent := bits.Len64(v) - 1
	l.n[exponent<<partBits+int(v>>(exponent-partBits))&(1<<partBits-1)]++
}

func (l *latencies) add(o *latencies) {
	for i, n := range o.n {
		l.n[i] += n
	}
}

// quantile is the upper end of the part that the quantile is in.
func (l *latencies) quantile(q float64) time.Duration {
	var total, seen uint64
	for _, n := range l.n {
		total += n
	}
	for i, n := range l.n {
		if seen += n; float64(seen) >= q*float64(total) {
			exponent, part := i>>partBits, i&(1<<partBits-1)
			if exponent == 0 {
				return time.Duration(i)
			}
			return time.Duration((1<<partBits + part + 1) << (exponent - partBits))
		}
	}
	return 0
}
