//go:build unix

package soak

import (
	"fmt"
	"strconv"

	dto "github.com/prometheus/client_model/go"
)

// names are the families of the facts.
var names = map[string]fact{
	"soak_whole_total": whole, "soak_halves_total": halves, "soak_seconds": seconds, "soak_layouts": layouts,
	"soak_summary": summary, "soak_labels_total": labels, "soak_done": done, "soak_newest": newest,
	"soak_native": native, "soak_mirrored_total": mirrored, "soak_observed": observed,
	"soak_alive": alive, "soak_each": each, "soak_present": present, "soak_churned_total": churned,
}

// String implements fmt.Stringer.
func (f fact) String() string {
	for name, n := range names {
		if n == min(f, churned) {
			return name + " " + strconv.Itoa(int(max(f, churned)-churned))
		}
	}
	return strconv.Itoa(int(f))
}

// factsOf returns what a scrape shows of each fact, -1 for a fact that is not shown, and what is wrong
// in itself.
func factsOf(families []*dto.MetricFamily) (got notes, problems []string) {
	for f := range got {
		if got[f] = 0; fact(f) >= churned {
			got[f] = -1
		}
	}
	for _, family := range families {
		name := family.GetName()
		if name == "mpmetrics_up" {
			if v := family.Metric[0].GetGauge().GetValue(); v != 1 {
				problems = append(problems, fmt.Sprintf("mpmetrics_up is %v", v))
			}
		}
		f, known := names[name]
		if !known {
			continue
		}
		for _, m := range family.Metric {
			v, problem := valueOf(m)
			if problem != "" {
				problems = append(problems, name+": "+problem)
			}
			switch {
			case f == churned:
				n, err := strconv.Atoi(m.Label[0].GetValue())
				if err != nil || n >= churns {
					problems = append(problems, name+": label "+m.Label[0].GetValue())
					continue
				}
				got[churned+fact(n)] = v
			case f == halves:
				got[f] += 2 * v
			default:
				got[f] += v
			}
		}
	}
	return got, problems
}

// valueOf returns a value, of a histogram or summary the number of observations, each of which was 1.
func valueOf(m *dto.Metric) (v float64, problem string) {
	switch {
	case m.Counter != nil:
		return m.Counter.GetValue(), ""
	case m.Gauge != nil:
		return m.Gauge.GetValue(), ""
	case m.Summary != nil:
		v = float64(m.Summary.GetSampleCount())
		if sum := m.Summary.GetSampleSum(); sum != v {
			problem = fmt.Sprintf("%v observations, and a sum of %v", v, sum)
		}
		return v, problem
	}
	h := m.Histogram
	v = float64(h.GetSampleCount())
	if sum := h.GetSampleSum(); sum != v {
		problem = fmt.Sprintf("%v observations, and a sum of %v", v, sum)
	}
	for _, b := range h.Bucket {
		want := v
		if b.GetUpperBound() < 1 {
			want = 0
		}
		if n := float64(b.GetCumulativeCount()); n != want {
			problem = fmt.Sprintf("%v observations, and %v up to %v", v, n, b.GetUpperBound())
		}
	}
	return v, problem
}
