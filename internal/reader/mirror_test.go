//go:build unix

package reader

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/mirror"
	"github.com/mpmetrics/mpmetrics/internal/ownerfile"
	"github.com/mpmetrics/mpmetrics/internal/table"
)

// counters is a family of counters with a label.
func counters(name string, values map[string]float64) *dto.MetricFamily {
	f := &dto.MetricFamily{Name: new(name), Help: new("h"), Type: dto.MetricType_COUNTER.Enum()}
	for l, v := range values {
		f.Metric = append(f.Metric, &dto.Metric{
			Label: []*dto.LabelPair{{Name: new("l"), Value: new(l)}}, Counter: &dto.Counter{Value: new(v)},
		})
	}
	slices.SortFunc(f.Metric, func(a, b *dto.Metric) int { return strings.Compare(a.Label[0].GetValue(), b.Label[0].GetValue()) })
	return f
}

func encoded(t *testing.T, f *dto.MetricFamily, mode layout.Mode) []byte {
	t.Helper()
	b, err := mirror.Encode(f, mode)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// puts mirrors families, by name, with values that are encoded already.
func puts(t *testing.T, p *ownerfile.File, families map[string][]byte) {
	t.Helper()
	if err := p.Mirror(ownerfile.Mirrored{Families: families}); err != nil {
		t.Fatal(err)
	}
}

// shows is what entries that are not gone hold, by family and label values.
func shows(t *testing.T, f *File) map[string][]uint64 {
	t.Helper()
	if err := f.Refresh(); err != nil {
		t.Fatal(err)
	}
	values, err := f.Load()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]uint64{}
	gone := 0
	for _, e := range f.Entries() {
		if e.Gone {
			gone++
			continue
		}
		family := f.Families()[e.Family]
		out[family.Name+"/"+strings.Join(e.Values, "/")] = slices.Clone(values[e.At : e.At+family.ValueWords()])
	}
	if gone != f.Gone() {
		t.Errorf("%d entries are gone, %d are counted", gone, f.Gone())
	}
	return out
}

// Mirrored families stand beside those of the log, and come and go.
func TestMirror(t *testing.T) {
	p := owner(t)
	appendSeries(t, p, appendFamily(t, p, &layout.Family{Type: layout.Counter, Name: "own_total"}), nil, 7, 0)
	f := open(t, p.Path())
	want := map[string][]uint64{"own_total/": {7, 0}}
	check := func(what string) {
		t.Helper()
		if diff := cmp.Diff(want, shows(t, f)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
		if diff := cmp.Diff(want, shows(t, open(t, p.Path()))); diff != "" {
			t.Errorf("%s, read anew (-want +got):\n%s", what, diff)
		}
	}
	check("before")
	half := math.Float64bits(0.5)
	puts(t, p, map[string][]byte{"c_total": encoded(t, counters("c_total", map[string]float64{"x": 1, "y": 0.5}), 0)})
	want["c_total/x"], want["c_total/y"] = []uint64{1, 0}, []uint64{0, half}
	check("mirrored")
	puts(t, p, map[string][]byte{
		"c_total": encoded(t, counters("c_total", map[string]float64{"y": 2, "z": 3}), 0),
		"d_total": encoded(t, counters("d_total", map[string]float64{"x": 4}), layout.Max),
	})
	delete(want, "c_total/x")
	want["c_total/y"], want["c_total/z"], want["d_total/x"] = []uint64{2, 0}, []uint64{3, 0}, []uint64{layout.EncodeGauge(4)}
	check("one series gone, one new, and another family")
	appendSeries(t, p, 0, nil, 8, 0)
	puts(t, p, map[string][]byte{"c_total": encoded(t, counters("c_total", map[string]float64{"x": 9}), 0), "d_total": nil})
	want = map[string][]uint64{"own_total/": {8, 0}, "c_total/x": {9, 0}}
	check("a family gone, a series back")
	if f.Memory() <= 0 {
		t.Errorf("%d bytes of memory", f.Memory())
	}
}

// Families that fill many pages, and pages that overflow.
func TestMirrorOfManyPages(t *testing.T) {
	p := owner(t)
	f := open(t, p.Path())
	families, want := map[string][]byte{}, map[string][]uint64{}
	for n := range 300 {
		name, values := fmt.Sprintf("family_%d_total", n), map[string]float64{}
		for i := range 1 + n*n%97 {
			values[fmt.Sprint(i)] = float64(n + i)
			want[name+"/"+fmt.Sprint(i)] = []uint64{uint64(n + i), 0}
		}
		families[name] = encoded(t, counters(name, values), 0)
	}
	puts(t, p, families)
	if diff := cmp.Diff(want, shows(t, f)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// One that has seen too many series go reads the file anew.
func TestMirrorOfManyGone(t *testing.T) {
	p := owner(t)
	f := open(t, p.Path())
	all := func(prefix string) []byte {
		values := map[string]float64{}
		for i := range table.MaxLeft/2 + 1 {
			values[prefix+fmt.Sprint(i)] = 1
		}
		return encoded(t, counters("c_total", values), 0)
	}
	puts(t, p, map[string][]byte{"c_total": all("a")})
	shows(t, f)
	puts(t, p, map[string][]byte{"c_total": all("b")})
	shows(t, f)
	puts(t, p, map[string][]byte{"c_total": all("c")})
	if err := f.Refresh(); !errors.Is(err, ErrReplaced) {
		t.Errorf("error %v, want %v", err, ErrReplaced)
	}
	if n := len(shows(t, open(t, p.Path()))); n != table.MaxLeft/2+1 {
		t.Errorf("%d series read anew, want %d", n, table.MaxLeft/2+1)
	}
}

// Values of all types, as they are merged.
func TestMirrorTypes(t *testing.T) {
	at := timestamppb.New(timestamppb.Now().AsTime())
	nan := math.Float64bits(math.NaN())
	bucket := func(bound float64, n uint64) *dto.Bucket {
		return &dto.Bucket{UpperBound: new(bound), CumulativeCount: new(n)}
	}
	for name, c := range map[string]struct {
		kind   dto.MetricType
		mode   layout.Mode
		metric *dto.Metric
		words  []uint64
		saying string // empty: it is sound
	}{
		"counter":                 {kind: dto.MetricType_COUNTER, mode: 0, metric: &dto.Metric{Counter: &dto.Counter{Value: new(3.0), CreatedTimestamp: at}}, words: []uint64{3, 0}, saying: ""},
		"negative counter":        {kind: dto.MetricType_COUNTER, mode: 0, metric: &dto.Metric{Counter: &dto.Counter{Value: new(-3.0)}}, words: []uint64{0, math.Float64bits(-3)}, saying: ""},
		"counter of NaN":          {kind: dto.MetricType_COUNTER, mode: 0, metric: &dto.Metric{Counter: &dto.Counter{Value: new(math.NaN())}}, words: []uint64{0, nan}, saying: ""},
		"huge counter":            {kind: dto.MetricType_COUNTER, mode: 0, metric: &dto.Metric{Counter: &dto.Counter{Value: new(1e300)}}, words: []uint64{0, math.Float64bits(1e300)}, saying: ""},
		"counter by mode":         {kind: dto.MetricType_COUNTER, mode: layout.Max, metric: &dto.Metric{Counter: &dto.Counter{Value: new(3.0)}}, words: []uint64{layout.EncodeGauge(3)}, saying: ""},
		"counter by time":         {kind: dto.MetricType_COUNTER, mode: layout.MostRecent, metric: &dto.Metric{Counter: &dto.Counter{Value: new(3.0)}}, words: nil, saying: "mostrecent"},
		"gauge":                   {kind: dto.MetricType_GAUGE, mode: layout.LiveSum, metric: &dto.Metric{Gauge: &dto.Gauge{Value: new(0.0)}}, words: []uint64{layout.EncodeGauge(0)}, saying: ""},
		"gauge without mode":      {kind: dto.MetricType_GAUGE, mode: 0, metric: &dto.Metric{Gauge: &dto.Gauge{Value: new(0.0)}}, words: nil, saying: "mode 0"},
		"untyped":                 {kind: dto.MetricType_UNTYPED, mode: layout.LiveSum, metric: &dto.Metric{Untyped: &dto.Untyped{Value: new(2.0)}}, words: []uint64{layout.EncodeGauge(2)}, saying: ""},
		"summary":                 {kind: dto.MetricType_SUMMARY, mode: 0, metric: &dto.Metric{Summary: &dto.Summary{SampleCount: new(uint64(2)), SampleSum: new(0.5), CreatedTimestamp: at}}, words: []uint64{2, math.Float64bits(0.5)}, saying: ""},
		"summary with mode":       {kind: dto.MetricType_SUMMARY, mode: layout.Max, metric: &dto.Metric{Summary: &dto.Summary{}}, words: nil, saying: "max"},
		"histogram":               {kind: dto.MetricType_HISTOGRAM, mode: 0, metric: &dto.Metric{Histogram: &dto.Histogram{SampleCount: new(uint64(6)), SampleSum: new(1.0), CreatedTimestamp: at, Bucket: []*dto.Bucket{bucket(1, 2), bucket(2, 5), bucket(math.Inf(1), 6)}}}, words: []uint64{6, math.Float64bits(1), 2, 3, 1}, saying: ""},
		"histogram that descends": {kind: dto.MetricType_HISTOGRAM, mode: 0, metric: &dto.Metric{Histogram: &dto.Histogram{SampleCount: new(uint64(6)), Bucket: []*dto.Bucket{bucket(1, 2), bucket(2, 1)}}}, words: nil, saying: "1 observations after 2"},
		"histogram beyond count":  {kind: dto.MetricType_HISTOGRAM, mode: 0, metric: &dto.Metric{Histogram: &dto.Histogram{SampleCount: new(uint64(1)), Bucket: []*dto.Bucket{bucket(1, 2)}}}, words: nil, saying: "of 1"},
		"bounds that descend":     {kind: dto.MetricType_HISTOGRAM, mode: 0, metric: &dto.Metric{Histogram: &dto.Histogram{Bucket: []*dto.Bucket{bucket(2, 0), bucket(1, 0)}}}, words: nil, saying: "bound 1"},
		"many buckets":            {kind: dto.MetricType_HISTOGRAM, mode: 0, metric: &dto.Metric{Histogram: &dto.Histogram{Bucket: slices.Repeat([]*dto.Bucket{bucket(1, 0)}, layout.MaxBuckets+1)}}, words: nil, saying: "more than 4095 buckets"},
		"gauge histogram":         {kind: dto.MetricType_GAUGE_HISTOGRAM, mode: 0, metric: &dto.Metric{Histogram: &dto.Histogram{}}, words: nil, saying: "that is none"},
		"another type":            {kind: dto.MetricType_COUNTER, mode: 0, metric: &dto.Metric{Gauge: &dto.Gauge{}}, words: nil, saying: "that is none"},
		"label twice":             {kind: dto.MetricType_COUNTER, mode: 0, metric: &dto.Metric{Counter: &dto.Counter{}, Label: []*dto.LabelPair{{Name: new("l")}, {Name: new("l")}}}, words: nil, saying: "twice"},
	} {
		t.Run(name, func(t *testing.T) {
			p := owner(t)
			family := &dto.MetricFamily{Name: new("f"), Help: new("h"), Type: c.kind.Enum(), Metric: []*dto.Metric{c.metric}}
			puts(t, p, map[string][]byte{"f": encoded(t, family, c.mode)})
			if c.saying != "" {
				_, err := Open(p.Path())
				wantError(t, err, c.saying)
				if !errors.Is(err, layout.ErrDamaged) {
					t.Errorf("error %v, want %v", err, layout.ErrDamaged)
				}
				return
			}
			f := open(t, p.Path())
			if diff := cmp.Diff(map[string][]uint64{"f/": c.words}, shows(t, f)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			created := c.metric.GetCounter().GetCreatedTimestamp() != nil || c.metric.GetSummary().GetCreatedTimestamp() != nil || c.metric.GetHistogram().GetCreatedTimestamp() != nil
			if got := f.Entries()[0].Created; created && got != at.AsTime().UnixNano() || !created && got != 0 {
				t.Errorf("start timestamp %d", got)
			}
		})
	}
}

func TestMirrorDamaged(t *testing.T) {
	sound := encoded(t, counters("f", map[string]float64{"x": 1}), 0)
	twice := counters("f", map[string]float64{"x": 1})
	twice.Metric = append(twice.Metric, twice.Metric[0])
	invalid := counters("f", map[string]float64{"\xff": 1})
	for name, c := range map[string]struct {
		value  []byte
		saying string
	}{
		"short":          {sound[:5], "5 bytes"},
		"checksum":       {append(slices.Clone(sound), 0), "checksum"},
		"no protobuf":    {layout.AppendMirror(nil, 0, []byte{0xff, 0xff}), "mirrored family"},
		"another's name": {encoded(t, counters("g", map[string]float64{"x": 1}), 0), `its name is "g"`},
		"series twice":   {encoded(t, twice, 0), "two series"},
	} {
		t.Run(name, func(t *testing.T) {
			p := owner(t)
			f := open(t, p.Path())
			puts(t, p, map[string][]byte{"f": c.value})
			for what, err := range map[string]error{"read on": f.Refresh(), "read anew": func() error { _, err := Open(p.Path()); return err }()} {
				if !errors.Is(err, layout.ErrDamaged) || !strings.Contains(err.Error(), c.saying) {
					t.Errorf("%s: error %v, want %v that says %q", what, err, layout.ErrDamaged, c.saying)
				}
			}
		})
	}
	if b, err := mirror.Encode(invalid, 0); err == nil {
		if _, err := mirror.Decode("f", b); !errors.Is(err, layout.ErrDamaged) {
			t.Errorf("a value that is no UTF-8: %v", err)
		}
	}
}
