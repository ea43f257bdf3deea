package merge

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// Rule says by which mode the samples of several processes are merged, and why.
type Rule struct {
	Mode   layout.Mode // zero: the values of all processes are summed up
	Reason string
	Named  bool // the name of the family decides, not the type alone
}

// RuleFor returns the rule for families of a type and a name, unless a mode is given.
func RuleFor(t layout.Type, name string) Rule {
	switch t {
	case layout.Gauge:
		return RuleOf(name)
	case layout.Untyped:
		return UntypedRuleOf(name)
	case layout.Counter:
		if r, known := CounterRuleOf(name); known {
			return r
		}
		return Rule{Reason: "counted: the counts of the dead stay"}
	}
	return Rule{Reason: "observed: the observations of the dead stay"}
}

// RuleOf returns the rule for gauges of a name, unless a mode is given: the name tells what the
// value means.
func RuleOf(name string) Rule {
	var few [fewWords]string
	words := split(few[:0], name)
	if len(words) < 2 {
		return byDefault
	}
	if ofHost(name) {
		return Rule{layout.LiveMax, hostReason, true}
	}
	var plain [fewBytes]byte
	if r, known := namedRules[string(join(plain[:0], words))]; known {
		r.Named = true
		return r
	}
	lists := uint64(0)
	for _, w := range words {
		lists |= listsOf[w]
	}
	for _, r := range wordRules {
		if lists&r.lists == r.lists && r.endOf(words) {
			return Rule{r.Mode, r.Reason, true}
		}
	}
	return byDefault
}

// UntypedRuleOf returns the rule for untyped samples of a name.
func UntypedRuleOf(name string) Rule {
	var few [fewWords]string
	words := split(few[:0], name)
	if len(words) < 2 || !slices.Contains(untypedEnds, words[len(words)-1]) {
		return RuleOf(name)
	}
	if ofHost(name) {
		return Rule{layout.Max, hostReason, true}
	}
	return Rule{layout.Sum, "counted: the counts of the dead stay", true}
}

// CounterRuleOf returns the rule for counters of a name. known is false for a counter that is
// summed up, as nearly all counters are.
func CounterRuleOf(name string) (r Rule, known bool) {
	if !ofHost(name) {
		return Rule{}, false
	}
	return Rule{layout.Max, hostReason, true}, true
}

// fewWords and fewBytes are the lengths of nearly all names: a longer name costs an allocation at
// each look.
const (
	fewWords = 16
	fewBytes = 128
)

// split appends the words of a name: a name of OpenTelemetry, with dots, slashes and hyphens, has
// the words of the same name with underscores.
func split(words []string, name string) []string {
	for name != "" {
		var w string
		if w, name = cutWord(name); w != "" {
			words = append(words, strings.ToLower(w))
		}
	}
	return words
}

// cutWord returns the text before the first ASCII character that is neither a letter nor a digit,
// and the text after the character.
func cutWord(name string) (word, rest string) {
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c >= utf8.RuneSelf:
		default:
			return name[:i], name[i+1:]
		}
	}
	return name, ""
}

// join appends words with underscores between the words.
func join(b []byte, words []string) []byte {
	for i, w := range words {
		if i > 0 {
			b = append(b, '_')
		}
		b = append(b, w...)
	}
	return b
}

// hostReason is the reason for values of the host: a sum would count the host once for each
// process, dead processes included.
const hostReason = "of the host: every process shows the same"

// hostBegins are the first words of the names of values of the host, or of its network namespace.
// Each process shows the same value.
var hostBegins = []string{
	"process_network",
	"system_cpu", "system_disk", "system_filesystem", "system_linux", "system_load", "system_memory",
	"system_network", "system_paging", "system_process", "system_processes", "system_uptime",
}

// ofHost reports whether a name begins like the name of a value of the host.
func ofHost(name string) bool {
	first, rest := cutWord(name)
	for _, begin := range hostBegins {
		n := len(first)
		if len(begin) > n && begin[n] == '_' && strings.EqualFold(begin[:n], first) {
			second, _ := cutWord(rest)
			if strings.EqualFold(begin[n+1:], second) {
				return true
			}
		}
	}
	return false
}

// untypedEnds are the last words of untyped samples that are counted, not measured: the counts of
// the dead stay.
var untypedEnds = []string{"count", "sum", "bucket", "total"}

// byDefault is the rule for gauges that no other rule knows.
var byDefault = Rule{Mode: layout.LiveSum, Reason: "a quantity of each live process: requests in flight"}

// namedRules are the rules for single names of well-known collectors, which the words of the
// name would miss. The words of a name stand with underscores here.
var namedRules = map[string]Rule{
	"go_gc_limiter_last_enabled_gc_cycle": {Mode: layout.LiveMax, Reason: "a moment: the newest"},
	"go_gc_stack_starting_size_bytes":     {Mode: layout.LiveMax, Reason: aSetting},
	"process_max_fds":                     {Mode: layout.LiveMin, Reason: "a limit: the tightest"},
	"process_open_fds":                    {Mode: layout.LiveMax, Reason: "beside a limit of each process: the process that is closest to the limit"},
	"process_virtual_memory_max_bytes":    {Mode: layout.LiveMin, Reason: "a limit: the tightest"},
}

// Reasons of several rules.
const (
	aSetting      = "a setting, alike in all processes"
	clusterReason = "of the cluster: every process sees the whole"
	expiryReason  = "an expiry alarms at its earliest"
	oneOrZero     = "1 or 0: 1 if each process has 1"
)

// units are the units of time.
var units = []string{"seconds", "milliseconds", "microseconds", "nanoseconds", "minutes", "hours", "days"}

// most and least are words for a largest and for a smallest value.
var most = []string{"max", "maximum", "peak", "highest", "largest"}

var least = []string{"min", "minimum", "shortest", "smallest", "lowest"}

// wordRule is a rule for names by their words. A rule without ends and without time takes every end,
// and a rule without words takes all words.
type wordRule struct {
	ends  []string   // the last words; the name has at least one more word
	time  bool       // the last word is a unit of time, or the name has one of the ends
	words [][]string // the name has a word of each list
	Rule

	lists uint64 // bits of words in listsOf
}

// wordRules are the rules by the words of a name, the first match first. A name of one word
// matches no rule.
var wordRules = []wordRule{
	// Moments, and the time until a moment.
	{time: true, ends: []string{"timestamp", "time", "at"}, words: [][]string{{"expiry", "expires", "expiration", "ttl"}}, Rule: Rule{Mode: layout.LiveMin, Reason: expiryReason}},
	{ends: []string{"expiry", "expiration"}, Rule: Rule{Mode: layout.LiveMin, Reason: expiryReason}},
	{words: [][]string{{"timestamp"}, {"oldest", "start", "boot"}}, Rule: Rule{Mode: layout.LiveMin, Reason: "the oldest moment"}},
	{ends: []string{"start_time_seconds", "start_time", "boot_time_seconds", "boot_time"}, Rule: Rule{Mode: layout.LiveMin, Reason: "the start of the oldest process"}},
	{ends: []string{"created"}, Rule: Rule{Mode: layout.LiveMin, Reason: "the oldest moment"}},
	{words: [][]string{{"timestamp", "unixtime"}}, Rule: Rule{Mode: layout.Max, Reason: "a moment: the newest"}},
	{ends: []string{"time_seconds", "at"}, words: [][]string{{"last"}}, Rule: Rule{Mode: layout.Max, Reason: "a moment: the newest"}},

	{ends: []string{"info"}, Rule: Rule{Mode: layout.LiveMax, Reason: "1 in each process: labels are the content"}},
	{words: [][]string{{"gogc", "gomaxprocs"}}, Rule: Rule{Mode: layout.LiveMax, Reason: aSetting}},
	{words: [][]string{{"gomemlimit", "memlimit"}}, Rule: Rule{Mode: layout.LiveMin, Reason: "a limit: the tightest"}},
	{ends: []string{"cpu_count", "cpu_cores", "cpu_cores_available", "num_cpu"}, Rule: Rule{Mode: layout.LiveMax, Reason: hostReason}},
	{words: [][]string{{"avg", "average", "mean", "median"}}, Rule: Rule{Mode: layout.LiveMean, Reason: "an average: the mean of the processes"}},

	// Durations: a sum of durations says nothing, unless the durations are shares of one total.
	{ends: []string{"cpu_seconds", "total_seconds", "total_milliseconds", "total_nanoseconds", "unfinished_work_seconds"}, Rule: Rule{Mode: layout.LiveSum, Reason: "time that adds up: of all workers"}},
	{time: true, words: [][]string{slices.Concat(least, []string{"limit"})}, Rule: Rule{Mode: layout.LiveMin, Reason: "a duration: the shortest"}},
	{time: true, ends: []string{"age", "delay", "duration", "interval", "latency", "time", "timeout", "uptime"}, Rule: Rule{Mode: layout.LiveMax, Reason: "a duration: the longest"}},

	{words: [][]string{{"above", "below", "beyond", "exceeded", "exceeding", "over"}, slices.Concat(most, least, []string{"limit"})}, Rule: Rule{Mode: layout.LiveSum, Reason: "how many are beyond a limit: a quantity"}},

	// Each process sees the whole cluster.
	{words: [][]string{{"cluster", "gossip", "memberlist", "raft", "ring", "serf"}, {"members", "nodes", "partitions", "peers"}}, Rule: Rule{Mode: layout.LiveMax, Reason: clusterReason}},
	{words: [][]string{{"ring"}, {"tokens"}, {"total"}}, Rule: Rule{Mode: layout.LiveMax, Reason: clusterReason}},

	// What is used of a pool is summed up, and so is the size of the pool.
	{words: [][]string{{"by", "per"}, {"max", "maximum"}}, Rule: Rule{Mode: layout.LiveMax, Reason: "a largest value"}},
	{words: [][]string{
		{"max", "maximum", "min", "minimum", "limit"},
		{"connection", "connections", "conn", "conns", "pool", "queue", "worker", "workers", "concurrent", "concurrency", "flight", "inflight"},
	}, Rule: Rule{Mode: layout.LiveSum, Reason: "the size of a pool of each process: adds up like the used part"}},

	{words: [][]string{{"longest", "oldest"}}, Rule: Rule{Mode: layout.LiveMax, Reason: "the longest time of all processes"}},
	{words: [][]string{most}, Rule: Rule{Mode: layout.LiveMax, Reason: "a largest value"}},
	{words: [][]string{least}, Rule: Rule{Mode: layout.LiveMin, Reason: "a smallest value"}},
	{words: [][]string{{"limit"}}, Rule: Rule{Mode: layout.LiveMin, Reason: "a limit: the tightest"}},
	{words: [][]string{{"p50", "p75", "p90", "p95", "p99", "p999", "percentile", "quantile"}}, Rule: Rule{Mode: layout.LiveMax, Reason: "a quantile: the worst of the processes"}},

	{ends: []string{"ratio", "percent", "percentage", "fraction", "utilization"}, Rule: Rule{Mode: layout.LiveMean, Reason: "a share: the mean of the processes"}},
	{words: [][]string{{"celsius", "fahrenheit", "kelvin", "temperature"}}, Rule: Rule{Mode: layout.LiveMax, Reason: "a temperature: the hottest"}},
	{ends: []string{"up", "healthcheck"}, Rule: Rule{Mode: layout.LiveMin, Reason: oneOrZero}},
	{ends: []string{"successful", "success"}, words: [][]string{{"last"}}, Rule: Rule{Mode: layout.LiveMin, Reason: oneOrZero}},
	{ends: []string{"enabled"}, Rule: Rule{Mode: layout.LiveMax, Reason: aSetting}},
	{ends: []string{"version", "generation", "revision", "hash"}, Rule: Rule{Mode: layout.LiveMax, Reason: "a number that names a version: the newest"}},
	{words: [][]string{{"last", "current", "applied", "commit", "committed"}, {"index", "term", "epoch", "sequence", "id"}}, Rule: Rule{Mode: layout.LiveMax, Reason: "a position: the newest"}},
}

// listsOf has a bit for each list of words of a rule that has the word.
var listsOf = func() map[string]uint64 {
	all := map[string]uint64{}
	bit := uint64(1)
	for i := range wordRules {
		for _, list := range wordRules[i].words {
			for _, w := range list {
				all[w] |= bit
			}
			wordRules[i].lists |= bit
			bit <<= 1
		}
	}
	return all
}()

// endOf reports whether words end as the rule wants, after at least one other word.
func (r *wordRule) endOf(words []string) bool {
	if r.time && slices.Contains(units, words[len(words)-1]) || len(r.ends) == 0 && !r.time {
		return true
	}
	return slices.ContainsFunc(r.ends, func(end string) bool {
		for i := len(words) - 1; i > 0; i-- {
			rest, found := strings.CutSuffix(end, words[i])
			if !found {
				return false
			}
			if rest == "" {
				return true
			}
			if end, found = strings.CutSuffix(rest, "_"); !found {
				return false
			}
		}
		return false
	})
}
