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
func TestRuleOf(t *testing.T) {
	for name, want := range map[string]layout.Mode{
		// the Go and process collectors
		"go_goroutines":                      layout.LiveSum,
		"go_memstats_heap_alloc_bytes":       layout.LiveSum,
		"go_gc_gogc_percent":                 layout.LiveMax,
		"go_gc_gomemlimit_bytes":             layout.LiveMin,
		"go_sched_gomaxprocs_threads":        layout.LiveMax,
		"go_memstats_last_gc_time_seconds":   layout.Max,
		"go_info":                            layout.LiveMax,
		"process_max_fds":                    layout.LiveMin,
		"process_open_fds":                   layout.LiveSum,
		"process_resident_memory_bytes":      layout.LiveSum,
		"process_start_time_seconds":         layout.LiveMin,
		"process_virtual_memory_max_bytes":   layout.LiveMin,
		"go_build_info":                      layout.LiveMax,
		"app_last_success_timestamp_seconds": layout.Max,
		"app_last_success_timestamp":         layout.Max,

		// controller-runtime
		"workqueue_longest_running_processor_seconds": layout.LiveMax,
		"workqueue_depth":                     layout.LiveSum,
		"rest_client_exec_plugin_ttl_seconds": layout.LiveSum,

		// OpenTelemetry, with dots and without
		"cert.expiry.timestamp_seconds": layout.LiveMin,
		"cert_expiry_timestamp_seconds": layout.LiveMin,
		"build.info":                    layout.LiveMax,
		"disk.use.ratio":                layout.LiveMean,
		"cpu.utilization":               layout.LiveMean,
		"system_cpu_utilization_ratio":  layout.LiveMean,
		"room.temperature_celsius":      layout.LiveMax,
		"cache_fill_percent":            layout.LiveMean,
		"go.memory.limit":               layout.LiveMin,
		"go.processor.limit":            layout.LiveMin,
		"go.config.gogc_percent":        layout.LiveMax,

		// words and units
		"queue_oldest_age_seconds":           layout.LiveMax,
		"queue_oldest_timestamp_seconds":     layout.LiveMin,
		"latency_max_seconds":                layout.LiveMax,
		"latency_min_seconds":                layout.LiveMin,
		"token_expiration_timestamp_seconds": layout.LiveMin,

		// words that only look alike, and names of one word
		"requests_in_flight": layout.LiveSum,
		"maximal_load":       layout.LiveSum,
		"info_x":             layout.LiveSum,
		"ratio":              layout.LiveSum,
		"limit":              layout.LiveSum,
		"timestamp_seconds":  layout.LiveSum,
		"":                   layout.LiveSum,
	} {
		if r := RuleOf(name); r.Mode != want || r.Reason == "" {
			t.Errorf("%q is merged by %v (%s), want %v", name, r.Mode, r.Reason, want)
		}
	}
}

func TestRulesOfOtherTypes(t *testing.T) {
	for name, want := range map[string]layout.Mode{
		"requests_total": layout.Sum, "latency_seconds_count": layout.Sum, "latency_seconds_sum": layout.Sum,
		"latency_seconds_bucket": layout.Sum, "rows.total": layout.Sum, "total": layout.LiveSum, "queue_length": layout.LiveSum, "build_info": layout.LiveMax,
	} {
		if r := UntypedRuleOf(name); r.Mode != want {
			t.Errorf("untyped %q is merged by %v, want %v", name, r.Mode, want)
		}
	}
	for name, want := range map[string]bool{
		"process_network_receive_bytes_total": true, "process_network_transmit_bytes_total": true,
		"process_cpu_seconds_total": false, "requests_total": false,
	} {
		if r, known := CounterRuleOf(name); known != want || known && r.Mode != layout.Max {
			t.Errorf("counter %q: %v (known: %v)", name, r.Mode, known)
		}
	}
}

// The page for users has each rule, and no other.
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
	for r, names := range byRule {
		slices.Sort(names)
		row(code(names), r.Mode, r.Reason)
	}
	for _, r := range wordRules {
		name := ""
		if len(r.end) > 0 {
			name = "`…_" + strings.Join(r.end, "_") + "`"
		}
		if len(r.words) > 0 {
			if name != "" {
				name += " "
			}
			name += "with the word " + strings.ReplaceAll(code(r.words), ", ", " or ")
		}
		row(name, r.Mode, r.Reason)
	}
	row("counters "+code(hostCounters), layout.Max, "of the host: every process shows the same count")
	row("untyped `…_"+strings.Join(untypedEnds, "`, `…_")+"`", layout.Sum, "counted: the counts of the dead stay")
	row("every other gauge or untyped sample", byDefault.Mode, byDefault.Reason)
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
	for _, w := range want {
		if !slices.Contains(got, w) {
			t.Errorf("%s lacks the row\n%s", page, w)
		}
	}
	for _, g := range got {
		if !slices.Contains(want, g) {
			t.Errorf("%s has a row that is no rule:\n%s", page, g)
		}
	}
}
