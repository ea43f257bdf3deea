package foreign

import (
	"fmt"
	"hash/maphash"
	"math"
	"math/bits"
	"reflect"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/mirror"
)

// record is a series as its collector showed the series last.
type record struct {
	part   *part
	labels []layout.Label // sorted by name
	hash   uint64         // of the name of the family and of labels
	next   *record        // with the same hash, in collection.byHash
	metric prometheus.Metric
	first  *dto.LabelPair // the first label that metric wrote; nil for no labels
	look   uint64         // number of the last look that met the series
	series *series        // of the mirror; nil: not mirrored yet

	value     value
	created   int64 // start timestamp, Unix nanoseconds; 0: unknown
	timestamp int64 // explicit timestamp, milliseconds; 0: none

	at      int32 // index in part.records
	size    int32 // room of the series in the mirror
	changed bool  // since the mirror took the record
	remade  bool  // the series has another metric than the mirror took last
	refused bool  // by the mirror, until the record changes
}

// address returns the address of a metric that is a pointer, and 0 for any other metric.
func address(m prometheus.Metric) uintptr {
	if v := reflect.ValueOf(m); v.Kind() == reflect.Pointer {
		return v.Pointer()
	}
	return 0
}

// is reports whether the metric of the record is the metric m with the given address. The record
// holds its metric, so that no other metric gets the address.
func (r *record) is(m prometheus.Metric, at uintptr) bool {
	return at != 0 && address(r.metric) == at && r.metric == m
}

// wrote reports whether the metric of the record wrote the labels pairs last time.
func (r *record) wrote(pairs []*dto.LabelPair) bool {
	return len(pairs) == len(r.labels) && firstOf(pairs) == r.first
}

func firstOf(pairs []*dto.LabelPair) *dto.LabelPair {
	if len(pairs) == 0 {
		return nil
	}
	return pairs[0]
}

var hashSeed = maphash.MakeSeed()

// hashOf returns the same hash for the same series of a family. A label without a value is no label
// in the data model of Prometheus.
func hashOf(name string, labels []layout.Label) uint64 {
	h := maphash.String(hashSeed, name)
	for _, l := range labels {
		if l.Value == "" {
			continue
		}
		h = bits.RotateLeft64(h, 7) ^ maphash.String(hashSeed, l.Name)
		h = bits.RotateLeft64(h, 7) ^ maphash.String(hashSeed, l.Value)
	}
	return h
}

// sameLabels reports whether two lists of labels, sorted by name, are the same without the labels
// that have no value.
func sameLabels(a, b []layout.Label) bool {
	for {
		for len(a) > 0 && a[0].Value == "" {
			a = a[1:]
		}
		for len(b) > 0 && b[0].Value == "" {
			b = b[1:]
		}
		if len(a) == 0 || len(b) == 0 || a[0] != b[0] {
			return len(a)+len(b) == 0
		}
		a, b = a[1:], b[1:]
	}
}

// appendLabels appends the labels of a metric, sorted by name.
func appendLabels(labels []layout.Label, pairs []*dto.LabelPair) []layout.Label {
	sorted := true
	for _, p := range pairs {
		if n := len(labels); n > 0 && labels[n-1].Name > p.GetName() {
			sorted = false
		}
		labels = append(labels, layout.Label{Name: p.GetName(), Value: p.GetValue()})
	}
	if !sorted {
		slices.SortFunc(labels, func(a, b layout.Label) int { return strings.Compare(a.Name, b.Name) })
	}
	return labels
}

// labelText writes labels for an error as an exposition does, and cuts what is long.
func labelText(labels []layout.Label) string {
	const most = 100
	cut := func(text string) string {
		if len(text) > most {
			return text[:most] + "…"
		}
		return text
	}
	var b strings.Builder
	b.WriteByte('{')
	for i, l := range labels {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%s=%q", cut(l.Name), cut(l.Value))
	}
	b.WriteByte('}')
	return b.String()
}

// createdOf returns the start timestamp of a metric, 0 for none.
func createdOf(m *dto.Metric) int64 {
	if t := mirror.Created(m); t != nil {
		return t.AsTime().UnixNano()
	}
	return 0
}

// exemplarsOf appends the exemplars of a metric.
func exemplarsOf(all []mirror.Exemplar, m *dto.Metric, labels []layout.Label) []mirror.Exemplar {
	put := func(bound float64, native bool, e *dto.Exemplar) {
		if e != nil {
			all = append(all, mirror.Exemplar{Labels: labels, Bound: bound, Native: native, Exemplar: e})
		}
	}
	put(math.NaN(), false, m.GetCounter().GetExemplar())
	for _, b := range m.GetHistogram().GetBucket() {
		put(b.GetUpperBound(), false, b.GetExemplar())
	}
	for _, e := range m.GetHistogram().GetExemplars() {
		put(math.NaN(), true, e)
	}
	return all
}
