package merge

import (
	"slices"
	"strings"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// Rule says by which mode the samples of several processes are merged, and why.
type Rule struct {
	Mode   layout.Mode
	Reason string
}

// namedRules are the rules for single names of well-known collectors, which the words of the
// name would miss.
var namedRules = map[string]Rule{
	"go_gc_gogc_percent":          {layout.LiveMax, "a setting, alike in all processes"},
	"go_config_gogc_percent":      {layout.LiveMax, "a setting, alike in all processes"},
	"go_gc_gomemlimit_bytes":      {layout.LiveMin, "a limit: the tightest"},
	"go_sched_gomaxprocs_threads": {layout.LiveMax, "a setting, alike in all processes"},
	"process_max_fds":             {layout.LiveMin, "a limit: the tightest"},

	"process_virtual_memory_max_bytes": {layout.LiveMin, "a limit: the tightest"},
}

// wordRules are the rules by the words of a name, the first match first. A rule matches a name
// that ends with end, unless end is empty, and has one of the words, unless there are none. A
// name of one word matches no rule.
var wordRules = []struct {
	end   []string
	words []string
	Rule
}{
	{end: []string{"timestamp", "seconds"}, words: []string{"expiry", "expires", "expiration"}, Rule: Rule{layout.LiveMin, "an expiry alarms at its earliest"}},
	{end: []string{"timestamp", "seconds"}, words: []string{"oldest"}, Rule: Rule{layout.LiveMin, "the oldest moment"}},
	{end: []string{"start", "time", "seconds"}, Rule: Rule{layout.LiveMin, "the start of the oldest process"}},
	{end: []string{"timestamp", "seconds"}, Rule: Rule{layout.Max, "a moment: the newest"}},
	{end: []string{"timestamp"}, Rule: Rule{layout.Max, "a moment: the newest"}},
	{end: []string{"time", "seconds"}, words: []string{"last"}, Rule: Rule{layout.Max, "a moment: the newest"}},
	{end: []string{"info"}, Rule: Rule{layout.LiveMax, "1 in each process: labels are the content"}},
	{end: []string{"ratio"}, Rule: Rule{layout.LiveMean, "a share: the mean of the processes"}},
	{end: []string{"percent"}, Rule: Rule{layout.LiveMean, "a share: the mean of the processes"}},
	{end: []string{"utilization"}, Rule: Rule{layout.LiveMean, "a share: the mean of the processes"}},
	{end: []string{"celsius"}, Rule: Rule{layout.LiveMax, "a temperature: the hottest"}},
	{words: []string{"longest", "oldest"}, Rule: Rule{layout.LiveMax, "the longest time of all processes"}},
	{words: []string{"max", "maximum"}, Rule: Rule{layout.LiveMax, "a largest value"}},
	{words: []string{"min", "minimum"}, Rule: Rule{layout.LiveMin, "a smallest value"}},
	{words: []string{"limit"}, Rule: Rule{layout.LiveMin, "a limit: the tightest"}},
}

// hostCounters are counters of the host or of its network namespace, which every process shows:
// the largest is the count of the host, and a sum would count the host once for each process,
// dead processes included.
var hostCounters = []string{"process_network_receive_bytes_total", "process_network_transmit_bytes_total"}

// untypedEnds are the last words of untyped samples that are counted, not measured: the counts of
// the dead stay.
var untypedEnds = []string{"count", "sum", "bucket", "total"}

// byDefault is the rule for gauges that no other rule knows.
var byDefault = Rule{layout.LiveSum, "a quantity of each live process: requests in flight"}

// RuleOf returns the rule for gauges of a name, unless a mode is given: the name tells what the
// value means. Names of OpenTelemetry, with dots, follow the same rules.
func RuleOf(name string) Rule {
	plain := strings.ReplaceAll(name, ".", "_")
	if r, known := namedRules[plain]; known {
		return r
	}
	words := strings.Split(plain, "_")
	if len(words) < 2 {
		return byDefault
	}
	for _, r := range wordRules {
		if endsWith(words, r.end) && (len(r.words) == 0 || slices.ContainsFunc(words, func(w string) bool { return slices.Contains(r.words, w) })) {
			return r.Rule
		}
	}
	return byDefault
}

// UntypedRuleOf returns the rule for untyped samples of a name.
func UntypedRuleOf(name string) Rule {
	words := strings.Split(strings.ReplaceAll(name, ".", "_"), "_")
	if len(words) > 1 && slices.Contains(untypedEnds, words[len(words)-1]) {
		return Rule{layout.Sum, "counted: the counts of the dead stay"}
	}
	return RuleOf(name)
}

// CounterRuleOf returns the rule for counters of a name. known is false for a counter that is
// summed up, as nearly all counters are.
func CounterRuleOf(name string) (r Rule, known bool) {
	if slices.Contains(hostCounters, strings.ReplaceAll(name, ".", "_")) {
		return Rule{layout.Max, "of the host: every process shows the same count"}, true
	}
	return Rule{}, false
}

// endsWith reports whether words end with end, after at least one other word.
func endsWith(words, end []string) bool {
	n := len(words) - len(end)
	return n > 0 && slices.Equal(words[n:], end)
}
