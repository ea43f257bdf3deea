package store_test

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/store"
)

// measured is a collector of a gauge that was measured at some time.
func measured(name string, v float64, at time.Time) prometheus.Collector {
	return unchecked(func(ch chan<- prometheus.Metric) {
		d := prometheus.NewDesc(name, "h", nil, nil)
		ch <- prometheus.NewMetricWithTimestamp(at, prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v))
	})
}

// A gauge that several processes measured at different times shows the newest value, and the
// timestamp of the value. With a process that has no timestamp, the value has none.
func TestNewestOfExplicitTimestamps(t *testing.T) {
	dir := inMemory(t)
	g := scraper(t, dir)
	at := time.Now().Add(-3 * time.Hour).Truncate(time.Millisecond)
	stamp := func() (v float64, unixMilli int64) {
		families, err := g.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "battery_level" {
				return f.Metric[0].GetGauge().GetValue(), f.Metric[0].GetTimestampMs()
			}
		}
		t.Fatal("no battery_level")
		return 0, 0
	}
	var stores []*store.Store
	for n, c := range []struct {
		v     float64
		after time.Duration
		want  float64
	}{{v: 80, want: 80}, {v: 90, after: -time.Minute, want: 80}, {v: 70, after: time.Minute, want: 70}} {
		s := quiet(t, dir)
		stores = append(stores, s)
		s.Registerer().MustRegister(measured("battery_level", c.v, at.Add(c.after)))
		_ = s.Flush(t.Context())
		v, ms := stamp()
		if want := at.Add(max(0, c.after)).UnixMilli(); v != c.want || ms != want {
			t.Errorf("with %d processes: %v at %d, want %v at %d", n+1, v, ms, c.want, want)
		}
	}
	if err := stores[2].Close(); err != nil {
		t.Fatal(err)
	}
	if v, ms := stamp(); v != 80 || ms != at.UnixMilli() {
		t.Errorf("after the newest process has ended: %v at %d, want 80 at %d", v, ms, at.UnixMilli())
	}
	own := quiet(t, dir).NewGauge(prometheus.GaugeOpts{Name: "battery_level", Help: "h"}, store.LiveMostRecent)
	own.Set(60)
	if v, ms := stamp(); v != 60 || ms != 0 {
		t.Errorf("beside an own gauge: %v at %d, want 60 without a timestamp", v, ms)
	}
}
