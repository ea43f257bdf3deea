package foreign

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// A gauge histogram, which only another Gatherer can have, is not taken for one that
// grows: it is left out, and said so. The others are there.
func TestGaugeHistogramsAreLeftOut(t *testing.T) {
	histogram := []*dto.Metric{{Histogram: &dto.Histogram{SampleCount: new(uint64(1)), SampleSum: new(1.0)}}}
	r := prometheus.NewRegistry()
	r.MustRegister(Gathered(prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		return []*dto.MetricFamily{
			{Name: new("now"), Type: dto.MetricType_GAUGE_HISTOGRAM.Enum(), Metric: histogram},
			{Name: new("since"), Type: dto.MetricType_HISTOGRAM.Enum(), Metric: histogram},
		}, nil
	})))
	families, err := r.Gather()
	if err == nil || !strings.Contains(err.Error(), `"now": gauge histograms are not mirrored`) {
		t.Errorf("error %v", err)
	}
	if len(families) != 1 || families[0].GetName() != "since" {
		t.Errorf("families %v", families)
	}
}
