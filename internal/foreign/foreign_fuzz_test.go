package foreign

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
)

// FuzzMirror mirrors two families of any content, one after the other, of one collector. world.flush
// fails if a reader would refuse what is staged: the reader would refuse the whole file.
func FuzzMirror(f *testing.F) {
	seed := func(kind dto.MetricType, metrics ...*dto.Metric) []byte {
		b, err := proto.Marshal(&dto.MetricFamily{Name: new("f"), Help: new("h"), Type: kind.Enum(), Metric: metrics})
		if err != nil {
			f.Fatal(err)
		}
		return b
	}
	labeled := &dto.Metric{
		Label:   []*dto.LabelPair{{Name: new("a"), Value: new("x")}, {Name: new("b"), Value: new("")}},
		Counter: &dto.Counter{Value: new(2.0), Exemplar: &dto.Exemplar{Value: new(1.0), Label: []*dto.LabelPair{{Name: new("t"), Value: new("1")}}}},
	}
	f.Add(seed(dto.MetricType_COUNTER, labeled, &dto.Metric{Counter: &dto.Counter{Value: new(1.0)}}), seed(dto.MetricType_GAUGE, &dto.Metric{Gauge: &dto.Gauge{Value: new(1.0)}}))
	f.Add(seed(dto.MetricType_HISTOGRAM, histogramOf(5, map[float64]uint64{1: 2, 2: 4})), seed(dto.MetricType_HISTOGRAM, histogramOf(3, map[float64]uint64{1: 2, 3: 3})))
	f.Add(seed(dto.MetricType_HISTOGRAM, nativeOf(2, 6, 9)), seed(dto.MetricType_HISTOGRAM, nativeOf(1, 1, 1)))
	f.Add(seed(dto.MetricType_SUMMARY, &dto.Metric{Summary: &dto.Summary{SampleCount: new(uint64(3)), SampleSum: new(-1.0)}}), seed(dto.MetricType_UNTYPED, &dto.Metric{Untyped: &dto.Untyped{Value: new(7.0)}, TimestampMs: new(int64(5))}))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		var families []*dto.MetricFamily
		w := newWorld(t)
		w.add(Gathered(prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) { return families, nil })))
		for _, encoded := range [][]byte{first, second, first} {
			var family dto.MetricFamily
			if proto.Unmarshal(encoded, &family) != nil {
				return
			}
			families = []*dto.MetricFamily{&family}
			w.flush()
		}
	})
}
