package mirror

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
	"google.golang.org/protobuf/proto"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// Exemplar is an exemplar of one series.
type Exemplar struct {
	Labels []layout.Label // of the series, by name
	Bound  float64        // upper bound of a bucket; NaN of a counter, and of native buckets
	Native bool           // of native buckets
	*dto.Exemplar
}

// EncodeExemplars encodes the exemplars of a family for the file.
func EncodeExemplars(name string, all []Exemplar) ([]byte, error) {
	family := &dto.MetricFamily{Name: &name}
	for _, e := range all {
		m := &dto.Metric{}
		for _, l := range e.Labels {
			m.Label = append(m.Label, &dto.LabelPair{Name: new(l.Name), Value: new(l.Value)})
		}
		switch {
		case e.Native:
			m.Histogram = &dto.Histogram{Exemplars: []*dto.Exemplar{e.Exemplar}}
		case math.IsNaN(e.Bound):
			m.Counter = &dto.Counter{Exemplar: e.Exemplar}
		default:
			m.Histogram = &dto.Histogram{Bucket: []*dto.Bucket{{UpperBound: new(e.Bound), Exemplar: e.Exemplar}}}
		}
		family.Metric = append(family.Metric, m)
	}
	return Encode(family, 0)
}

// DecodeExemplars reads the bytes of EncodeExemplars and checks the rules of a scrape. Errors wrap
// layout.ErrDamaged.
func DecodeExemplars(value []byte) ([]Exemplar, error) {
	_, encoded, err := layout.DecodeMirror(value)
	if err != nil {
		return nil, err
	}
	var family dto.MetricFamily
	if err := proto.Unmarshal(encoded, &family); err != nil {
		return nil, fmt.Errorf("exemplars: %w: %w", err, layout.ErrDamaged)
	}
	var all []Exemplar
	for _, m := range family.Metric {
		labels := make([]layout.Label, len(m.Label))
		for i, l := range m.Label {
			labels[i] = layout.Label{Name: l.GetName(), Value: l.GetValue()}
		}
		slices.SortFunc(labels, func(a, b layout.Label) int { return cmp.Compare(a.Name, b.Name) })
		if e := m.GetCounter().GetExemplar(); e != nil {
			all = append(all, Exemplar{Labels: labels, Bound: math.NaN(), Exemplar: e})
		}
		for _, b := range m.GetHistogram().GetBucket() {
			if e := b.GetExemplar(); e != nil && !math.IsNaN(b.GetUpperBound()) {
				all = append(all, Exemplar{Labels: labels, Bound: b.GetUpperBound(), Exemplar: e})
			}
		}
		for _, e := range m.GetHistogram().GetExemplars() {
			all = append(all, Exemplar{Labels: labels, Bound: math.NaN(), Native: true, Exemplar: e})
		}
	}
	for _, e := range all {
		if err := checkExemplar(e.Exemplar); err != nil {
			return nil, fmt.Errorf("exemplar: %w: %w", err, layout.ErrDamaged)
		}
	}
	return all, nil
}

// checkExemplar checks the rules of the OpenMetrics format.
func checkExemplar(e *dto.Exemplar) error {
	runes := 0
	for i, l := range e.Label {
		if !model.UTF8Validation.IsValidLabelName(l.GetName()) || !utf8.ValidString(l.GetValue()) {
			return fmt.Errorf("label %q with value %q is not valid", l.GetName(), l.GetValue())
		}
		for _, other := range e.Label[:i] {
			if other.GetName() == l.GetName() {
				return fmt.Errorf("label %q twice", l.GetName())
			}
		}
		runes += utf8.RuneCountInString(l.GetName()) + utf8.RuneCountInString(l.GetValue())
	}
	if runes > prometheus.ExemplarMaxRunes {
		return fmt.Errorf("labels of %d runes, at most %d", runes, prometheus.ExemplarMaxRunes)
	}
	if t := e.GetTimestamp(); t != nil && t.CheckValid() != nil {
		return t.CheckValid()
	}
	return nil
}
