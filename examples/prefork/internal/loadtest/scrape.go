package loadtest

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Scrape is one answer of /metrics or /worker-metrics.
type Scrape struct {
	families map[string]*dto.MetricFamily
	Took     time.Duration // from the request to the last byte's decoding
}

// Fetch scrapes url on a separate connection, so that the kernel chooses the worker.
func Fetch(ctx context.Context, url string) (Scrape, error) {
	begin := time.Now()
	transport := &http.Transport{DisableKeepAlives: true}
	client := &http.Client{Transport: transport, Timeout: requestTime}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return Scrape{}, fmt.Errorf("scrape: %w", err)
	}
	response, err := client.Do(request)
	if err != nil {
		return Scrape{}, fmt.Errorf("scrape: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return Scrape{}, fmt.Errorf("scrape %s: %s", url, response.Status)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(response.Body)
	if err != nil {
		return Scrape{}, fmt.Errorf("scrape %s: %w", url, err)
	}
	return Scrape{families: families, Took: time.Since(begin)}, nil
}

// Total names a sum: of all series of a family, or with a Label of all series with the label's
// value.
type Total struct{ Family, Label, Value string }

func (t Total) String() string {
	if t.Label == "" {
		return t.Family
	}
	return fmt.Sprintf("%s{%s=%q}", t.Family, t.Label, t.Value)
}

// has says whether a series of the family belongs to the total.
func (t Total) has(m *dto.Metric) bool {
	return t.Label == "" || slices.ContainsFunc(m.GetLabel(), func(pair *dto.LabelPair) bool {
		return pair.GetName() == t.Label && pair.GetValue() == t.Value
	})
}

// Sum adds up all series of a family, of a histogram its observations. ok is false without series.
func (s Scrape) Sum(family string) (sum float64, ok bool) { return s.Total(Total{Family: family}) }

// Total adds up the series of a total, as Sum does.
func (s Scrape) Total(t Total) (sum float64, ok bool) {
	for _, m := range s.families[t.Family].GetMetric() {
		if !t.has(m) {
			continue
		}
		switch {
		case m.Counter != nil:
			sum += m.Counter.GetValue()
		case m.Gauge != nil:
			sum += m.Gauge.GetValue()
		case m.Histogram != nil:
			sum += float64(m.Histogram.GetSampleCount())
		}
		ok = true
	}
	return sum, ok
}

// Label lists the values of a label in the series of a family.
func (s Scrape) Label(name, label string) []string {
	var values []string
	for _, m := range s.families[name].GetMetric() {
		for _, pair := range m.GetLabel() {
			if pair.GetName() == label {
				values = append(values, pair.GetValue())
			}
		}
	}
	return values
}

// Alone asks workers for their own registries until each of pids has answered, and returns the
// handled requests by pid. The kernel chooses the worker, so Alone needs some tries.
func Alone(ctx context.Context, url string, pids []int) (map[int]float64, error) {
	const triesPerWorker = 100
	counts := make(map[int]float64)
	for range triesPerWorker * len(pids) {
		if len(counts) == len(pids) {
			return counts, nil
		}
		scrape, err := Fetch(ctx, url)
		if err != nil {
			return nil, err
		}
		for _, value := range scrape.Label("worker_requests_total", "pid") {
			pid, err := strconv.Atoi(value)
			if err != nil {
				return nil, fmt.Errorf("scrape %s: label pid: %w", url, err)
			}
			counts[pid], _ = scrape.Sum("worker_requests_total")
		}
	}
	return nil, fmt.Errorf("scrape %s: only %v of workers %v ever answered", url, counts, pids)
}
