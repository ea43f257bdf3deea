package store_test

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/store"
)

// The next version of a program has one label more, which is mostly empty. By the data model of
// Prometheus the series is the same: two series in a scrape would be one of two values.
func TestEmptyLabelOfAnotherVersion(t *testing.T) {
	opts := prometheus.CounterOpts{Name: "disk_total", Help: "h"}
	mirrored := func(s *store.Store, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(opts, labels)
		s.Registerer().MustRegister(v)
		return v
	}
	own := func(s *store.Store, labels ...string) *prometheus.CounterVec { return s.NewCounterVec(opts, labels) }
	for name, make := range map[string][2]func(*store.Store, ...string) *prometheus.CounterVec{
		"own": {own, own}, "mirrored": {mirrored, mirrored}, "mirrored, then own": {mirrored, own},
	} {
		t.Run(name, func(t *testing.T) {
			dir := inMemory(t)
			g := scraper(t, dir)
			older, newer := quiet(t, dir), quiet(t, dir)
			make[0](older, "dev").WithLabelValues("sda").Add(2)
			v := make[1](newer, "dev", "fs")
			v.WithLabelValues("sda", "").Add(1)
			v.WithLabelValues("sda", "ext4").Add(7)
			check := func(what string) {
				t.Helper()
				families, err := g.Gather()
				if err != nil {
					t.Fatal(err)
				}
				got := map[string]float64{}
				for _, f := range families {
					if f.GetName() != "disk_total" {
						continue
					}
					for _, m := range f.Metric {
						got[labelsOf(m)] += m.Counter.GetValue()
					}
					if len(f.Metric) != 2 {
						t.Errorf("%s: %d series, want 2", what, len(f.Metric))
					}
				}
				if got["dev=sda"] != 3 || got["dev=sda,fs=ext4"] != 7 {
					t.Errorf("%s: %v", what, got)
				}
			}
			_, _ = older.Flush(t.Context()), newer.Flush(t.Context())
			check("both live")
			for _, s := range []*store.Store{older, newer} {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				check("closed")
				if _, err := compact.Run(t.Context(), dir, compact.Opts{Logger: silent}); err != nil {
					t.Fatal(err)
				}
				check("absorbed")
			}
		})
	}
}

// labelsOf returns the labels of a metric that have values.
func labelsOf(m *dto.Metric) string {
	var all []string
	for _, l := range m.Label {
		if l.GetValue() != "" {
			all = append(all, l.GetName()+"="+l.GetValue())
		}
	}
	return strings.Join(all, ",")
}
