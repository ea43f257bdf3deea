package merge

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// Names of real collectors, and the mode that an operator wants.
func TestRulesOfGauges(t *testing.T) {
	for what, names := range map[string]map[string]layout.Mode{
		"the Go collector": {
			"go_goroutines":                       layout.LiveSum,
			"go_memstats_heap_alloc_bytes":        layout.LiveSum,
			"go_gc_gogc_percent":                  layout.LiveMax,
			"go_gc_gomemlimit_bytes":              layout.LiveMin,
			"go_gc_limiter_last_enabled_gc_cycle": layout.LiveMax,
			"go_gc_stack_starting_size_bytes":     layout.LiveMax,
			"go_sched_gomaxprocs_threads":         layout.LiveMax,
			"go_memstats_last_gc_time_seconds":    layout.Max,
			"go_info":                             layout.LiveMax,
		},
		"the process collector": {
			"process_max_fds":                  layout.LiveMin,
			"process_open_fds":                 layout.LiveMax,
			"process_resident_memory_bytes":    layout.LiveSum,
			"process_start_time_seconds":       layout.LiveMin,
			"process_virtual_memory_max_bytes": layout.LiveMin,
		},
		"the host": {
			"system_memory_usage_bytes":       layout.LiveMax,
			"system.memory.usage":             layout.LiveMax,
			"system.memory.utilization_ratio": layout.LiveMax,
			"system.network.connections":      layout.LiveMax,
			"system_uptime_seconds":           layout.LiveMax,
			"process_cpu_cores_available":     layout.LiveMax,
			"system_errors":                   layout.LiveSum,
			"process_memory_usage_bytes":      layout.LiveSum,
		},
		"the cluster": {
			"cortex_ring_members":              layout.LiveMax,
			"ring_tokens_total":                layout.LiveMax,
			"ring_member_tokens_owned":         layout.LiveSum,
			"memberlist_cluster_members_count": layout.LiveMax,
			"raft.peers":                       layout.LiveMax,
		},
		"moments": {
			"app_last_success_timestamp_seconds": layout.Max,
			"app_last_success_timestamp":         layout.Max,
			"backup_last_run_unixtime":           layout.Max,
			"backup.last_run.at":                 layout.Max,
			"queue_oldest_timestamp_seconds":     layout.LiveMin,
			"job_start_timestamp_seconds":        layout.LiveMin,
			"process.start.time":                 layout.LiveMin,
			"requests_created":                   layout.LiveMin,
		},
		"an expiry": {
			"cert.expiry.timestamp_seconds":       layout.LiveMin,
			"cert.expiry.timestamp":               layout.LiveMin,
			"cert/expiry-timestamp_seconds":       layout.LiveMin,
			"cert_expiry_timestamp_seconds":       layout.LiveMin,
			"token_expiration_timestamp_seconds":  layout.LiveMin,
			"cert_expires_in_days":                layout.LiveMin,
			"cert.expiry":                         layout.LiveMin,
			"session_expires_at":                  layout.LiveMin,
			"keys_with_ttl":                       layout.LiveSum,
			"expiry_queue_depth":                  layout.LiveSum,
			"rest_client_exec_plugin_ttl_seconds": layout.LiveMin,
		},
		"settings": {
			"go.config.gogc_percent":     layout.LiveMax,
			"go.config.gogc":             layout.LiveMax,
			"go.memory.limit":            layout.LiveMin,
			"go_gomemlimit_bytes":        layout.LiveMin,
			"go.processor.limit":         layout.LiveMin,
			"kubernetes_feature_enabled": layout.LiveMax,
			"config_hash":                layout.LiveMax,
			"go_cpu_count":               layout.LiveMax,
			"cpu_cores_used":             layout.LiveSum,
			"raft_last_index":            layout.LiveMax,
			"raft.commit.index":          layout.LiveMax,
			"documents_in_index":         layout.LiveSum,
		},
		"1 or 0": {
			"build.info":                    layout.LiveMax,
			"target_info":                   layout.LiveMax,
			"otel.scope.info":               layout.LiveMax,
			"redis_up":                      layout.LiveMin,
			"kubernetes_healthcheck":        layout.LiveMin,
			"config_last_reload_successful": layout.LiveMin,
			"leader_election_master_status": layout.LiveSum,
			"circuit_breaker_state":         layout.LiveSum,
			"hosts_up_again":                layout.LiveSum,
			"last_backup_success":           layout.LiveMin,
			"jobs_successful":               layout.LiveSum,
		},
		"shares and averages": {
			"disk.use.ratio":               layout.LiveMean,
			"cpu.utilization":              layout.LiveMean,
			"cache_fill_percent":           layout.LiveMean,
			"go_memstats_gc_cpu_fraction":  layout.LiveMean,
			"reply_size_avg_bytes":         layout.LiveMean,
			"latency_mean_seconds":         layout.LiveMean,
			"request_size_bytes_p99":       layout.LiveMax,
			"room.temperature_celsius":     layout.LiveMax,
			"room_temperature_min_celsius": layout.LiveMin,
			"cpu_max_utilization_ratio":    layout.LiveMax,
		},
		"durations": {
			"workqueue_longest_running_processor_seconds": layout.LiveMax,
			"longest.run":                        layout.LiveMax,
			"queue_oldest_age_seconds":           layout.LiveMax,
			"replication_lag_seconds":            layout.LiveMax,
			"process.uptime":                     layout.LiveMax,
			"last_response_time":                 layout.LiveMax,
			"latency_max_seconds":                layout.LiveMax,
			"latency_min_seconds":                layout.LiveMin,
			"pool_max_wait_seconds":              layout.LiveMax,
			"workqueue_unfinished_work_seconds":  layout.LiveSum,
			"last_run_duration_milliseconds":     layout.LiveMax,
			"http_server_timeout":                layout.LiveMax,
			"connection_pool_limit_wait_minutes": layout.LiveMin,
			"process_cpu_seconds":                layout.LiveSum,
			"gc_pause_total_nanoseconds":         layout.LiveSum,
			"job_total_duration_seconds":         layout.LiveMax,
			"queue.oldest.age":                   layout.LiveMax,
			"requests_timeout_left":              layout.LiveSum,
		},
		"pools": {
			"go_sql_max_open_connections":                  layout.LiveSum,
			"go_sql_open_connections":                      layout.LiveSum,
			"db.client.connection.idle.max":                layout.LiveSum,
			"tcp_connections_limit":                        layout.LiveSum,
			"controller_runtime_max_concurrent_reconciles": layout.LiveSum,
			"queue_capacity":                               layout.LiveSum,
			"workqueue_depth":                              layout.LiveSum,
			"grpc_concurrent_streams_by_conn_max":          layout.LiveMax,
			"grpc_concurrent_streams_limit":                layout.LiveSum,
			"message_max_bytes":                            layout.LiveMax,
			"heap_peak_bytes":                              layout.LiveMax,
		},
		"words that only look alike, and names of one word": {
			"requests_in_flight": layout.LiveSum,
			"clients_over_limit": layout.LiveSum,
			"disks_below_min":    layout.LiveSum,
			"maximal_load":       layout.LiveSum,
			"info_x":             layout.LiveSum,
			"ratio":              layout.LiveSum,
			"limit":              layout.LiveSum,
			"seconds":            layout.LiveSum,
			"_ratio":             layout.LiveSum,
			"":                   layout.LiveSum,
		},
	} {
		for name, want := range names {
			r := RuleOf(name)
			if r.Mode != want || r.Reason == "" {
				t.Errorf("%s: %q is merged by %v (%s), want %v", what, name, r.Mode, r.Reason, want)
			}
			if r.Named != (r != byDefault) {
				t.Errorf("%s: %q: the name decides: %v", what, name, r.Named)
			}
			if other := RuleOf(strings.ToUpper(strings.ReplaceAll(name, "_", "."))); other != r {
				t.Errorf("%s: %q is merged by %v, with dots and capitals by %v", what, name, r.Mode, other.Mode)
			}
		}
	}
}

func TestRulesOfOtherTypes(t *testing.T) {
	for name, want := range map[string]layout.Mode{
		"requests_total": layout.Sum, "latency_seconds_count": layout.Sum, "latency_seconds_sum": layout.Sum,
		"latency_seconds_bucket": layout.Sum, "rows.total": layout.Sum, "total": layout.LiveSum, "queue_length": layout.LiveSum, "build_info": layout.LiveMax,
		"process_network_receive_bytes_total": layout.Max, "system.cpu.count": layout.Max, "system.memory.usage": layout.LiveMax,
	} {
		if r := RuleFor(layout.Untyped, name); r.Mode != want || r.Reason == "" {
			t.Errorf("untyped %q is merged by %v, want %v", name, r.Mode, want)
		}
	}
	for name, want := range map[string]layout.Mode{
		"process_network_receive_bytes_total": layout.Max, "process_network_transmit_bytes_total": layout.Max,
		"system_network_io_bytes_total": layout.Max, "system.cpu.time_seconds_total": layout.Max, "system.paging.faults": layout.Max,
		"process_cpu_seconds_total": 0, "requests_total": 0, "system_requests_total": 0, "process_info": 0, "cache_max_total": 0, "total": 0,
	} {
		r, known := CounterRuleOf(name)
		if r.Mode != want || known != (want != 0) {
			t.Errorf("counter %q: %v (known: %v), want %v", name, r.Mode, known, want)
		}
		if r := RuleFor(layout.Counter, name); r.Mode != want || r.Reason == "" || r.Named != known {
			t.Errorf("counter %q: %+v, want %v", name, r, want)
		}
	}
	for _, of := range []layout.Type{layout.Histogram, layout.Summary, layout.NativeHistogram} {
		if r := RuleFor(of, "system_cpu_ratio"); r.Mode != 0 || r.Reason == "" || r.Named {
			t.Errorf("%v: %+v, want the sum by type", of, r)
		}
	}
}

// A bit of one list in another rule would apply the other rule to the wrong names.
func TestListsOfWordsHaveBits(t *testing.T) {
	lists := 0
	for _, r := range wordRules {
		lists += len(r.words)
	}
	if lists > 64 {
		t.Errorf("%d lists of words, and a mask has 64 bits", lists)
	}
}

func BenchmarkCounterRuleOf(b *testing.B) {
	for _, name := range []string{"http_server_requests_total", "process_cpu_seconds_total"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				CounterRuleOf(name)
			}
		})
	}
}

func BenchmarkRuleOf(b *testing.B) {
	for _, name := range []string{"go_goroutines", "workqueue_longest_running_processor_seconds", "http.server.active_requests"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				RuleOf(name)
			}
		})
	}
}

// The page for users has each rule, in the order of the rules, and no other.
func TestRulesAreDocumented(t *testing.T) {
	const page = "../../docs/collectors.md"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	row := func(name string, mode layout.Mode, reason string) {
		want = append(want, fmt.Sprintf("| %s | `%v` | %s |", name, mode, reason))
	}
	code := func(names []string) string { return "`" + strings.Join(names, "`, `") + "`" }
	byRule := map[Rule][]string{}
	for name, r := range namedRules {
		byRule[r] = append(byRule[r], name)
	}
	row("`"+strings.Join(hostBegins, "_…`, `")+"_…`", layout.LiveMax, hostReason)
	named := make([]string, 0, len(byRule))
	for r, names := range byRule {
		slices.Sort(names)
		named = append(named, fmt.Sprintf("| %s | `%v` | %s |", code(names), r.Mode, r.Reason))
	}
	slices.Sort(named)
	want = append(want, named...)
	for _, r := range wordRules {
		var conditions []string
		if ends := strings.Join(r.ends, "`, `…_"); r.time && ends != "" {
			conditions = append(conditions, "a unit of time, `…_"+ends+"`")
		} else if r.time {
			conditions = append(conditions, "a unit of time")
		} else if ends != "" {
			conditions = append(conditions, "`…_"+ends+"`")
		}
		for i, list := range r.words {
			with := "with "
			if i > 0 {
				with = "and "
			}
			if len(list) > 1 {
				with += "one of "
			}
			conditions = append(conditions, with+code(list))
		}
		row(strings.Join(conditions, " "), r.Mode, r.Reason)
	}
	row("counters, and untyped `…_"+strings.Join(untypedEnds, "`, `…_")+"`, of the host as above", layout.Max, hostReason)
	row("other untyped `…_"+strings.Join(untypedEnds, "`, `…_")+"`", layout.Sum, "counted: the counts of the dead stay")
	row("every other gauge or untyped sample", byDefault.Mode, byDefault.Reason)
	if in := "A unit of time is the last of several words: " + code(units) + "."; !strings.Contains(strings.Join(strings.Fields(string(text)), " "), in) {
		t.Errorf("%s lacks the sentence %q", page, in)
	}
	var got []string
	inTable := false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "| name | mode | reason |"):
			inTable = true
		case inTable && strings.HasPrefix(line, "| ---"):
		case inTable && strings.HasPrefix(line, "|"):
			got = append(got, line)
		default:
			inTable = false
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the rules of %s are\n%s\nand should be, in this order,\n%s", page, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
