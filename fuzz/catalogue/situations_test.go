//go:build linux

package catalogue

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/internal/testing/catalogue"
	"github.com/mpmetrics/mpmetrics/internal/testing/testdir"
	"github.com/mpmetrics/mpmetrics/store"
)

// libraryNamed returns a library of the catalogue.
func libraryNamed(t *testing.T, name string) catalogue.Library {
	t.Helper()
	for _, l := range libraries {
		if l.Name == name {
			return l
		}
	}
	t.Fatalf("no library %s", name)
	return catalogue.Library{}
}

// Settings of the Go runtime are alike in all processes, whichever library shows the settings.
func TestSettingsOfGoAreNotAddedUp(t *testing.T) {
	for name, settings := range map[string][]string{
		"go":                        {"go_gc_gogc_percent", "go_gc_gomemlimit_bytes", "go_sched_gomaxprocs_threads"},
		"process":                   {"process_max_fds", "process_virtual_memory_max_bytes"},
		"otel-underscores-suffixes": {"go_config_gogc_percent", "go_processor_limit"},
		"otel-no-translation":       {"go.config.gogc", "go.processor.limit"},
	} {
		one, merged := catalogue.ThreeProcesses(t, libraryNamed(t, name))
		for _, s := range settings {
			if one[s] == 0 || merged[s] != one[s] {
				t.Errorf("%s: %s is %v, in one process %v", name, s, merged[s], one[s])
			}
		}
		if last, shown := merged["go_memstats_last_gc_time_seconds"]; shown {
			if at := time.Unix(int64(last), 0); at.After(time.Now()) || at.Before(time.Now().Add(-time.Hour)) {
				t.Errorf("the last garbage collection was at %v", at)
			}
		}
	}
}

// Five jobs that follow one another show one host.
func TestHostIsCountedOnce(t *testing.T) {
	for name, families := range map[string][]string{
		"process":                   {"process_network_receive_bytes_total", "process_network_transmit_bytes_total"},
		"otel-underscores-suffixes": {"system_network_io_bytes_total", "system_cpu_time_seconds_total"},
		"otel-no-translation":       {"system.network.io", "system.cpu.time"},
	} {
		last, merged := catalogue.Jobs(t, libraryNamed(t, name), 5)
		for _, f := range families {
			// The host goes on between two looks.
			if v := merged[f]; v < last[f] || v > 1.5*last[f]+1e6 {
				t.Errorf("%s: %s is %v, of the host %v", name, f, v, last[f])
			}
		}
	}
}

// Gauges of three processes whose values are 1, 2 and 3.
func TestExtremesAreNotAddedUp(t *testing.T) {
	want := map[string]float64{
		"workqueue_longest_running_processor_seconds": 3, // controller-runtime
		"queue_oldest_age_seconds":                    3,
		"longest.wait":                                3,
		"heap_peak_bytes":                             3,
		"latency_min_milliseconds":                    1,
		"rest_client_exec_plugin_ttl_seconds":         1,
		"cert.expiry.timestamp":                       1,
		"backup.last_run.timestamp":                   3,
		"cpu.utilization":                             2,
		"room_temperature_celsius":                    3,
		"workqueue_depth":                             6,
	}
	dir := testdir.New(t)
	var all []*store.Store
	for i := range 3 {
		s := openStore(t, dir)
		for name := range want {
			g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: "h"})
			g.Set(float64(i + 1))
			s.Registerer().MustRegister(g)
		}
		all = append(all, s)
	}
	got := merged(t, dir, all...)
	for name, v := range want {
		if got[name] != v {
			t.Errorf("%s is %v, want %v", name, got[name], v)
		}
	}
}

// Names as OpenTelemetry writes the names follow the rules of names with underscores.
func TestNamesOfOpenTelemetryFollowTheRules(t *testing.T) {
	for name, want := range map[string]map[string]float64{
		"otel-utf8-suffixes": {
			"cert.expiry.timestamp_seconds": 1.8e9, "build.info": 1, "cache.hit_ratio": 0.5, "disk.used_percent": 40, "queue.oldest.age_seconds": 7,
		},
		"otel-no-translation": {
			"cert.expiry.timestamp": 1.8e9, "build.info": 1, "cpu.utilization": 0.25, "queue.oldest.age": 7, "memory.limit": 1 << 30,
		},
		"otel-underscores": {
			"cert_expiry_timestamp": 1.8e9, "build_info": 1, "cpu_utilization": 0.25, "queue_oldest_age": 7, "memory_limit": 1 << 30,
		},
	} {
		_, merged := catalogue.ThreeProcesses(t, libraryNamed(t, name))
		for family, v := range want {
			if merged[family] != v {
				t.Errorf("%s: %s is %v, want %v", name, family, merged[family], v)
			}
		}
	}
}
