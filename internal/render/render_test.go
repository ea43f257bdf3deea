package render_test

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
	"github.com/mpmetrics/mpmetrics/internal/render"
)

func float(v float64) uint64 { return math.Float64bits(v) }

// second returns a time in Unix nanoseconds.
func second(n int64) int64 { return n * int64(time.Second) }

// A definition is a family with one series.
type definition struct {
	family  layout.Family
	values  []string
	created int64
	words   []uint64 // as layout.Family.ValueWords says
}

var definitions = []definition{
	{
		family:  layout.Family{Type: layout.Counter, Name: "requests_total", Help: "Requests \\ served.\nOr not.", LabelNames: []string{"path", "code"}, ConstLabels: []layout.Label{{Name: "app", Value: "shop"}}},
		values:  []string{"/a\"b", "200"},
		created: second(100), words: []uint64{3, float(0.25)},
	},
	{
		family:  layout.Family{Type: layout.Counter, Mode: layout.Max, Name: "highest_total", Help: "A counter with a mode."},
		created: second(100), words: []uint64{layout.EncodeGauge(7)},
	},
	{
		family:  layout.Family{Type: layout.Gauge, Mode: layout.Sum, Name: "temperature", Help: "A gauge.", Unit: "celsius"},
		created: second(100), words: []uint64{layout.EncodeGauge(-1.5)},
	},
	{
		family:  layout.Family{Type: layout.Untyped, Mode: layout.LiveSum, Name: "mystery", Help: "Untyped."},
		created: second(100), words: []uint64{layout.EncodeGauge(2)},
	},
	{
		family:  layout.Family{Type: layout.Histogram, Name: "duration_seconds", Help: "A histogram.", Bounds: []float64{0.5, 1}},
		created: second(50), words: []uint64{6, float(9.5), 1, 2, 3},
	},
	{
		family:  layout.Family{Type: layout.Summary, Name: "payload_bytes", Help: "A summary."},
		created: second(100), words: []uint64{2, float(400)},
	},
}

// A scene is a merger with one process, and a renderer.
type scene struct {
	t        *testing.T
	merger   *merge.Merger
	member   *merge.Member
	renderer *render.Renderer
	words    []uint64
	families int
}

func newScene(t *testing.T, hidden func(string) bool) *scene {
	m := merge.New()
	s := &scene{t: t, merger: m, renderer: render.New(hidden)}
	s.member = m.Join(merge.Process{ID: layout.NewID(), Start: second(10), Label: "p", Live: true})
	return s
}

func (s *scene) define(all ...definition) {
	s.t.Helper()
	for _, d := range all {
		if err := d.family.Validate(); err != nil {
			s.t.Fatal(err)
		}
		if len(d.words) != d.family.ValueWords() {
			s.t.Fatalf("%s: %d words, want %d", d.family.Name, len(d.words), d.family.ValueWords())
		}
		s.merger.Extend(s.member, []*layout.Family{&d.family}, []merge.Input{{Family: s.families, Values: d.values, Created: d.created, At: len(s.words)}})
		s.words = append(s.words, d.words...)
		s.families++
	}
}

func (s *scene) merge() {
	s.merger.Begin()
	s.merger.Add(s.member, s.words)
}

func (s *scene) metrics(cumulative bool, begun int64) collected {
	s.merge()
	return s.renderer.Metrics(s.merger, cumulative, begun)
}

// collected are metrics as a collector sends them.
type collected []prometheus.Metric

func (c collected) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, ch) }

func (c collected) Collect(ch chan<- prometheus.Metric) {
	for _, m := range c {
		ch <- m
	}
}

// gather passes the metrics through the strictest registry.
func (c collected) gather(t *testing.T) map[string]*dto.MetricFamily {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(c)
	all, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]*dto.MetricFamily{}
	for _, f := range all {
		found[f.GetName()] = f
	}
	return found
}

// text returns the metrics in a format.
func (c collected) text(t *testing.T, format expfmt.Format, o ...expfmt.EncoderOption) string {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(c)
	all, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	e := expfmt.NewEncoder(&out, format, o...)
	for _, f := range all {
		if err := e.Encode(f); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

func none(string) bool { return false }

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestText(t *testing.T) {
	s := newScene(t, none)
	s.define(definitions...)
	want := `# HELP duration_seconds A histogram.
# TYPE duration_seconds histogram
duration_seconds_bucket{le="0.5"} 1
duration_seconds_bucket{le="1"} 3
duration_seconds_bucket{le="+Inf"} 6
duration_seconds_sum 9.5
duration_seconds_count 6
# HELP highest_total A counter with a mode.
# TYPE highest_total counter
highest_total 7
# HELP mystery Untyped.
# TYPE mystery untyped
mystery 2
# HELP payload_bytes A summary.
# TYPE payload_bytes summary
payload_bytes_sum 400
payload_bytes_count 2
# HELP requests_total Requests \\ served.\nOr not.
# TYPE requests_total counter
requests_total{app="shop",code="200",path="/a\"b"} 3.25
# HELP temperature A gauge.
# TYPE temperature gauge
temperature -1.5
`
	for range 2 { // the second time with what the renderer has kept
		equal(t, "text", s.metrics(true, 0).text(t, expfmt.NewFormat(expfmt.TypeTextPlain)), want)
	}
}

func TestOpenMetrics(t *testing.T) {
	s := newScene(t, none)
	s.define(definitions...)
	text := s.metrics(true, second(60)).text(t, expfmt.NewFormat(expfmt.TypeOpenMetrics), expfmt.WithCreatedLines())
	for _, line := range []string{
		"temperature -1.5",
		`requests_created{app="shop",code="200",path="/a\"b"} 100`,
		"duration_seconds_created 60", // its own time is older than the last restart of totals
		"payload_bytes_created 100",
	} {
		if !strings.Contains("\n"+text, "\n"+line+"\n") && !strings.Contains("\n"+text, "\n"+line+".0\n") {
			t.Errorf("no line %q in\n%s", line, text)
		}
	}
}

func TestStartTimestamps(t *testing.T) {
	s := newScene(t, none)
	s.define(
		definition{family: layout.Family{Type: layout.Counter, Name: "c_total", Help: "h"}, created: second(100), words: []uint64{1, 0}},
		definition{family: layout.Family{Type: layout.Counter, Name: "mirrored_total", Help: "h"}, created: 0, words: []uint64{1, 0}},
	)
	for _, c := range []struct{ begun, want int64 }{{0, 100}, {50, 100}, {150, 150}, {120, 120}} {
		found := s.metrics(true, second(c.begun)).gather(t)
		got := found["c_total"].Metric[0].GetCounter().GetCreatedTimestamp()
		equal(t, fmt.Sprintf("totals restarted at %d", c.begun), got.AsTime(), time.Unix(c.want, 0).UTC())
		if at := found["mirrored_total"].Metric[0].GetCounter().GetCreatedTimestamp(); at != nil {
			t.Errorf("a series without a start timestamp has %v", at.AsTime())
		}
	}
}

// Without cumulative families gauges alone are left: a scrape that is not complete shows no
// counter that could go back.
func TestWithoutCumulative(t *testing.T) {
	s := newScene(t, none)
	s.define(definitions...)
	var names []string
	for name := range s.metrics(false, 0).gather(t) {
		names = append(names, name)
	}
	slices.Sort(names)
	equal(t, "families", names, []string{"mystery", "temperature"})
}

func TestHiddenFamilies(t *testing.T) {
	s := newScene(t, func(name string) bool { return strings.HasPrefix(name, "mystery") || name == "requests_total" })
	s.define(definitions...)
	found := s.metrics(true, 0).gather(t)
	if found["mystery"] != nil || found["requests_total"] != nil || len(found) != len(definitions)-2 {
		t.Errorf("%d families, want all but the hidden two: %v", len(found), found)
	}
}

// Metrics hold copies: a registry may read the metrics of one scrape while the next one merges.
func TestMetricsAreCopies(t *testing.T) {
	s := newScene(t, none)
	s.define(definitions...)
	format := expfmt.NewFormat(expfmt.TypeTextPlain)
	first := s.metrics(true, 0)
	before := first.text(t, format)
	for i := range s.words {
		s.words[i] = 0
	}
	after := s.metrics(true, 0).text(t, format)
	if before == after {
		t.Fatal("the second scrape shows nothing new")
	}
	equal(t, "the first scrape, after the second", first.text(t, format), before)
}

// Series of one family may have different labels: each has a descriptor of its own, as the vec of
// its owner has, and the const labels of the owner.
func TestDescriptors(t *testing.T) {
	s := newScene(t, none)
	for _, zone := range []string{"a", "b"} {
		s.define(definition{
			family:  layout.Family{Type: layout.Counter, Name: "zoned_total", Help: "h", LabelNames: []string{"x"}, ConstLabels: []layout.Label{{Name: "zone", Value: zone}}},
			values:  []string{"1"},
			created: second(1), words: []uint64{1, 0},
		})
	}
	descs := map[string]bool{}
	for _, m := range s.metrics(true, 0) {
		descs[m.Desc().String()] = true
	}
	want := map[string]bool{}
	for _, zone := range []string{"a", "b"} {
		vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "zoned_total", Help: "h", ConstLabels: prometheus.Labels{"zone": zone}}, []string{"x"})
		ch := make(chan *prometheus.Desc, 1)
		vec.Describe(ch)
		want[(<-ch).String()] = true
	}
	equal(t, "descriptors", descs, want)
}

func TestExemplars(t *testing.T) {
	s := newScene(t, none)
	s.define(definitions...)
	s.merge()
	exemplar := func(name string, v float64) *dto.Exemplar {
		return &dto.Exemplar{
			Label: []*dto.LabelPair{{Name: new("trace_id"), Value: new(name)}}, Value: &v, Timestamp: timestamppb.New(time.Unix(1, 0)),
		}
	}
	add := func(family string, labels []layout.Label, bound, value float64, name string) {
		s.merger.AddExemplar(s.member, family, labels, bound, merge.Exemplar{Value: value, Time: 1, Ref: exemplar(name, value)})
	}
	add("requests_total", []layout.Label{{Name: "app", Value: "shop"}, {Name: "code", Value: "200"}, {Name: "path", Value: "/a\"b"}}, math.NaN(), 1, "request")
	add("duration_seconds", nil, 1, 0.75, "middle")
	add("duration_seconds", nil, math.Inf(+1), 5, "long")
	found := collected(s.renderer.Metrics(s.merger, true, 0)).gather(t)
	if got := found["requests_total"].Metric[0].GetCounter().GetExemplar(); got.GetLabel()[0].GetValue() != "request" || got.GetValue() != 1 {
		t.Errorf("exemplar of the counter: %v", got)
	}
	h := found["duration_seconds"].Metric[0].GetHistogram()
	names := map[float64]string{}
	for _, b := range h.Bucket {
		names[b.GetUpperBound()] = ""
		if e := b.GetExemplar(); e != nil {
			names[b.GetUpperBound()] = e.GetLabel()[0].GetValue()
		}
	}
	// The bucket of +Inf stands in the message for its exemplar alone.
	equal(t, "exemplars by bucket", names, map[float64]string{0.5: "", 1: "middle", math.Inf(+1): "long"})
	if last := h.Bucket[len(h.Bucket)-1]; last.GetCumulativeCount() != h.GetSampleCount() {
		t.Errorf("bucket of +Inf: %d of %d observations", last.GetCumulativeCount(), h.GetSampleCount())
	}
}

func TestNativeHistogram(t *testing.T) {
	s := newScene(t, none)
	d := definition{
		family:  layout.Family{Type: layout.NativeHistogram, Name: "n_seconds", Help: "h"},
		created: second(100), words: []uint64{3, float(6), 0}, // no finite bound: the bucket of +Inf alone
	}
	s.define(d)
	s.merge()
	s.merger.AddNative(s.member, 0, &layout.Native{
		Schema: 0, Threshold: 1e-9, Zero: 1, Positive: []layout.NativeBucket{{Index: 1, Count: 1}, {Index: 3, Count: 1}},
	})
	h := collected(s.renderer.Metrics(s.merger, true, 0)).gather(t)["n_seconds"].Metric[0].GetHistogram()
	if h.GetSampleCount() != 3 || h.GetSampleSum() != 6 || h.GetSchema() != 0 || h.GetZeroThreshold() != 1e-9 || h.GetZeroCount() != 1 || len(h.Bucket) != 0 {
		t.Errorf("native histogram: %v", h)
	}
	counts, index := map[int32]int64{}, int32(0)
	deltas, n := h.PositiveDelta, int64(0)
	for i, span := range h.PositiveSpan {
		if i == 0 {
			index = span.GetOffset()
		} else {
			index += span.GetOffset()
		}
		for range span.GetLength() {
			n += deltas[0]
			if deltas = deltas[1:]; n != 0 {
				counts[index] = n
			}
			index++
		}
	}
	equal(t, "positive buckets", counts, map[int32]int64{1: 1, 3: 1})
}

// A family that is no longer merged leaves, and the renderer takes a new help text.
func TestFamiliesComeAndGo(t *testing.T) {
	s := newScene(t, none)
	s.define(definitions[0])
	s.metrics(true, 0)
	s.merger.Leave(s.member)
	s.words, s.families = nil, 0
	s.member = s.merger.Join(merge.Process{ID: layout.NewID(), Start: second(20), Label: "q", Live: true})
	changed := definitions[0]
	changed.family.Help = "New help."
	s.define(changed, definitions[2])
	found := s.metrics(true, 0).gather(t)
	if got := found["requests_total"].GetHelp(); got != "New help." || len(found) != 2 {
		t.Errorf("%d families, help %q", len(found), got)
	}
	s.merger.Leave(s.member)
	s.words = nil
	s.merger.Begin()
	if left := s.renderer.Metrics(s.merger, true, 0); len(left) != 0 {
		t.Errorf("%d metrics of no process", len(left))
	}
}

// What is counted in one block of memory has room for all.
func TestManySeries(t *testing.T) {
	s := newScene(t, none)
	const n = 500
	for i := range n {
		for _, d := range definitions {
			d.family.LabelNames, d.values = []string{"i"}, []string{fmt.Sprint(i)}
			d.family.ConstLabels = nil
			s.define(d)
		}
	}
	all := s.metrics(true, 0)
	if len(all) != n*len(definitions) {
		t.Fatalf("%d metrics, want %d", len(all), n*len(definitions))
	}
	for name, f := range all.gather(t) {
		if len(f.Metric) != n {
			t.Errorf("%s: %d series, want %d", name, len(f.Metric), n)
		}
		for _, m := range f.Metric {
			if h := m.GetHistogram(); h != nil && (len(h.Bucket) != 2 || h.Bucket[1].GetCumulativeCount() != 3) {
				t.Errorf("%s: %v", name, m)
			}
		}
	}
}
