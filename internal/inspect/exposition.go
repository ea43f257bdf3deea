package inspect

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
	"github.com/mpmetrics/mpmetrics/internal/mirror"
	"github.com/mpmetrics/mpmetrics/internal/selector"
)

// Labels of an exposition per process.
const (
	ProcessLabel = "mpmetrics_process" // the file without its extension, or "archive"
	StateLabel   = "mpmetrics_state"
)

// metrics is a collector of finished metrics.
type metrics []prometheus.Metric

// Describe implements prometheus.Collector. Describe describes nothing, so the registry checks the
// collected metrics instead.
func (m metrics) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (m metrics) Collect(ch chan<- prometheus.Metric) {
	for _, metric := range m {
		ch <- metric
	}
}

// Gather returns the merged families as in a scrape, without the metrics about mpmetrics. If the
// reading is not complete, Gather returns no cumulative families. Call Gather before the next
// Read.
func (s *Survey) Gather(sel *selector.Selector) ([]*dto.MetricFamily, error) {
	r := prometheus.NewRegistry()
	m := metrics(s.inspector.render.Metrics(s.inspector.merger, s.Err == nil, s.Archive.archive.State.Begun))
	if err := r.Register(m); err != nil {
		return nil, err
	}
	families, err := r.Gather()
	return filter(families, sel), err
}

// filter keeps the series that match a selector.
func filter(families []*dto.MetricFamily, sel *selector.Selector) []*dto.MetricFamily {
	if sel == nil {
		return families
	}
	for _, f := range families {
		f.Metric = slices.DeleteFunc(f.Metric, func(m *dto.Metric) bool {
			label := func(name string) string {
				for _, l := range m.GetLabel() {
					if l.GetName() == name {
						return l.GetValue()
					}
				}
				return ""
			}
			return !slices.ContainsFunc(merge.SampleNames(f.GetName(), mirror.TypeOf(f.GetType())), func(name string) bool { return sel.Matches(name, label) })
		})
	}
	return slices.DeleteFunc(families, func(f *dto.MetricFamily) bool { return len(f.Metric) == 0 })
}

// GatherProcesses returns the families with one series for each process with a share in a merged
// series. ProcessLabel and StateLabel tell the series apart. Call GatherProcesses before the next
// Read.
func (s *Survey) GatherProcesses(sel *selector.Selector) []*dto.MetricFamily {
	values := s.Select(sel)
	s.Explain(values)
	byName := map[string]*dto.MetricFamily{}
	var families []*dto.MetricFamily
	for _, v := range values {
		f := byName[v.Family.Name]
		if f == nil {
			f = &dto.MetricFamily{Name: new(v.Family.Name), Help: new(v.Family.Help), Type: dtoType(v.Family.Type).Enum()}
			if v.Family.Unit != "" {
				f.Unit = new(v.Family.Unit)
			}
			byName[v.Family.Name] = f
			families = append(families, f)
		}
		for i := range v.Parts {
			if c := &v.Parts[i]; !c.Unset {
				f.Metric = append(f.Metric, partMetric(v, c))
			}
		}
	}
	return slices.DeleteFunc(families, func(f *dto.MetricFamily) bool { return len(f.Metric) == 0 })
}

func dtoType(t layout.Type) dto.MetricType {
	switch t {
	case layout.Counter:
		return dto.MetricType_COUNTER
	case layout.Gauge:
		return dto.MetricType_GAUGE
	case layout.Summary:
		return dto.MetricType_SUMMARY
	case layout.Untyped:
		return dto.MetricType_UNTYPED
	}
	return dto.MetricType_HISTOGRAM
}

// exported renames own labels of a series that have the name of ProcessLabel or StateLabel, as
// Prometheus renames labels of a scrape that have the name of a label of the target.
func exported(own []layout.Label) []layout.Label {
	labels := slices.Clone(own)
	for i := range labels {
		name := labels[i].Name
		if name != ProcessLabel && name != StateLabel {
			continue
		}
		for slices.ContainsFunc(labels, func(l layout.Label) bool { return l.Name == name }) {
			name = "exported_" + name
		}
		labels[i].Name = name
	}
	return labels
}

func partMetric(v *Value, c *Contribution) *dto.Metric {
	who := "archive"
	switch {
	case c.Process != nil:
		who = strings.TrimSuffix(c.Process.Name, layout.Extension)
	case c.Dead != "":
		who = "archive " + c.Dead
	}
	labels := append(exported(v.Labels), layout.Label{Name: ProcessLabel, Value: who}, layout.Label{Name: StateLabel, Value: string(c.State())})
	slices.SortStableFunc(labels, func(a, b layout.Label) int { return cmp.Compare(a.Name, b.Name) })
	m := &dto.Metric{}
	for _, l := range labels {
		m.Label = append(m.Label, &dto.LabelPair{Name: new(l.Name), Value: new(l.Value)})
	}
	var created *timestamppb.Timestamp
	if !c.Created.IsZero() {
		created = timestamppb.New(c.Created)
	}
	switch v.Family.Type {
	case layout.Counter:
		m.Counter = &dto.Counter{Value: &c.Value, CreatedTimestamp: created}
	case layout.Gauge:
		m.Gauge = &dto.Gauge{Value: &c.Value}
	case layout.Untyped:
		m.Untyped = &dto.Untyped{Value: &c.Value}
	case layout.Summary:
		m.Summary = &dto.Summary{SampleCount: &c.Count, SampleSum: &c.Sum, CreatedTimestamp: created}
	default:
		m.Histogram = &dto.Histogram{SampleCount: &c.Count, SampleSum: &c.Sum, CreatedTimestamp: created}
		for i, n := range Cumulative(c.Buckets) {
			if i < len(v.Family.Bounds) {
				m.Histogram.Bucket = append(m.Histogram.Bucket, &dto.Bucket{UpperBound: new(v.Family.Bounds[i]), CumulativeCount: new(n)})
			}
		}
		if c.Native != nil {
			mirror.EncodeNative(m.Histogram, c.Native)
		}
	}
	return m
}

// Cumulative adds up buckets, as in an exposition.
func Cumulative(buckets []uint64) []uint64 {
	sums := make([]uint64, len(buckets))
	var total uint64
	for i, n := range buckets {
		total += n
		sums[i] = total
	}
	return sums
}

// Expose writes families in a format of expositions.
func Expose(out io.Writer, families []*dto.MetricFamily, format expfmt.Format) error {
	e := expfmt.NewEncoder(out, format, expfmt.WithCreatedLines())
	for _, f := range families {
		if err := e.Encode(f); err != nil {
			return fmt.Errorf("family %q: %w", f.GetName(), err)
		}
	}
	if c, ok := e.(expfmt.Closer); ok {
		return c.Close()
	}
	return nil
}

// BoundText is the upper bound of a bucket of a family; the last one is +Inf.
func BoundText(bounds []float64, i int) string {
	if i >= len(bounds) {
		return FormatNumber(math.Inf(+1))
	}
	return FormatNumber(bounds[i])
}
