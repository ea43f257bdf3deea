package store_test

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Three processes with the Go and process collectors show what an operator wants to know of
// the service: settings, limits and moments are not added up, and neither are counters of the
// host.
func TestSettingsAndMomentsAreNotAddedUp(t *testing.T) {
	dir := inMemory(t)
	one := map[string]float64{}
	for range 3 {
		s := quiet(t, dir)
		goCollector := collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(collectors.MetricsAll))
		s.Registerer().MustRegister(goCollector, collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
		plain := prometheus.NewRegistry()
		plain.MustRegister(goCollector, collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
		families, err := plain.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				one[f.GetName()] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	got := mergedOf(t, dir)
	for _, name := range []string{
		"go_gc_gogc_percent", "go_gc_gomemlimit_bytes", "go_sched_gomaxprocs_threads", "process_max_fds", "process_virtual_memory_max_bytes",
	} {
		if got[name] != one[name] {
			t.Errorf("%s is %v, in each process %v", name, got[name], one[name])
		}
	}
	if last := time.Unix(int64(got["go_memstats_last_gc_time_seconds"]), 0); last.After(time.Now().Add(time.Minute)) {
		t.Errorf("the last garbage collection was at %v", last)
	}
	for _, name := range []string{"process_network_receive_bytes_total", "process_network_transmit_bytes_total"} {
		// The host goes on between two looks.
		if v, host := got[name], one[name]; v > 1.5*host+1e6 {
			t.Errorf("%s is %v, of the host %v", name, v, host)
		}
	}
}

// Names with dots follow the rules of names with underscores, and untyped samples that are
// counted keep the counts of the dead.
func TestRulesOfNamesOfOtherLibraries(t *testing.T) {
	dir := inMemory(t)
	for n := range 2 {
		s := quiet(t, dir)
		for name, v := range map[string]float64{"cert.expiry.timestamp_seconds": 1.8e9 + float64(n), "build.info": 1, "disk.use.ratio": float64(n)} {
			g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: "h"})
			g.Set(v)
			s.Registerer().MustRegister(g)
		}
		s.Registerer().MustRegister(prometheus.NewUntypedFunc(prometheus.UntypedOpts{Name: "rows_total", Help: "h"}, func() float64 { return 5 }))
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			defer s.Close()
			continue
		}
		got := mergedOf(t, dir)
		for name, want := range map[string]float64{"cert.expiry.timestamp_seconds": 1.8e9, "build.info": 1, "disk.use.ratio": 0.5, "rows_total": 10} {
			if got[name] != want {
				t.Errorf("%s is %v, want %v", name, got[name], want)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if got := mergedOf(t, dir); got["rows_total"] != 10 || got["disk.use.ratio"] != 0 {
			t.Errorf("after one process has ended: rows_total is %v, want 10, disk.use.ratio %v, want 0", got["rows_total"], got["disk.use.ratio"])
		}
	}
}
