//go:build unix

package fuzz

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/internal/testing/damage"
	"github.com/mpmetrics/mpmetrics/store"
)

// bounds of the histogram.
var bounds = []float64{-1, 0, 2.5, 1000}

// labelValues are the values of the label of each family.
var labelValues = []string{"", "a\nb\\c\"d", "größe"}

// modes are the modes whose outcome does not depend on the clock.
var modes = []store.MergeMode{store.Sum, store.LiveSum, store.Min, store.LiveMin, store.Max, store.LiveMax, store.LiveMean}

// process is a process, and what a model says of it.
type process struct {
	store     *store.Store // nil once it is dead
	counters  *prometheus.CounterVec
	histogram *prometheus.HistogramVec
	summary   *prometheus.SummaryVec
	gauges    []*prometheus.GaugeVec

	counted  map[string]float64   // by label
	observed map[string][]float64 // of the histogram, which are those of the summary too
	set      []map[string]float64 // of each mode
}

func newProcess(w *world) *process {
	p := &process{store: w.open(), counted: map[string]float64{}, observed: map[string][]float64{}}
	labels := []string{"l"}
	p.counters = p.store.NewCounterVec(prometheus.CounterOpts{Name: "c_total", Help: "C."}, labels)
	p.histogram = p.store.NewHistogramVec(prometheus.HistogramOpts{Name: "h", Help: "H.", Buckets: bounds}, labels)
	p.summary = p.store.NewSummaryVec(prometheus.SummaryOpts{Name: "s", Help: "S."}, labels)
	for i, mode := range modes {
		p.gauges = append(p.gauges, p.store.NewGaugeVec(prometheus.GaugeOpts{Name: fmt.Sprint("g", i), Help: "G."}, labels, mode))
		p.set = append(p.set, map[string]float64{})
	}
	return p
}

// FuzzMerge lets the fuzzer count in some processes, end some, and absorb them.
// What a parser reads from the exposition is what a model adds up. All values are
// eighths, which sums of float64 hold exactly in any order.
func FuzzMerge(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 0, 1, 0, 8, 1, 1, 1, 0, 9, 2, 2, 1, 0, 9})
	all := []byte{}
	for op := range byte(opProcesses) {
		for p := range byte(processes) {
			all = append(all, op, p, op+p, op, 8*p)
		}
	}
	f.Add(all)
	f.Add(append(all, all...))
	f.Add(append([]byte{opEnd, 1, 0, 0, 0, opAbsorb, 0, 0, 0, 0}, all...))
	f.Fuzz(func(t *testing.T, tape []byte) {
		w := &world{t: t, dir: memoryDir(t)}
		var ps []*process
		for range processes {
			ps = append(ps, newProcess(w))
		}
		defer func() {
			for _, p := range ps {
				p.end(w)
			}
		}()
		script := damage.Tape(tape)
		for n := 0; len(script) > 0 && n < 200; n++ {
			perform(w, &script, ps)
		}
		want := expected(ps)
		if diff := cmp.Diff(exposed(t, w.dir), want); diff != "" {
			t.Errorf("exposition (-got +want):\n%s", diff)
		}
	})
}

const processes = 3

// The operations of a script: each has an operand of 4 bytes, process, label and
// value.
const (
	opCount = iota
	opObserve
	opSet
	opEnd
	opAbsorb
	opProcesses
)

func perform(w *world, script *damage.Tape, ps []*process) {
	w.t.Helper()
	op, p, label := script.Below(opProcesses), ps[script.Below(processes)], script.Byte()
	v := float64(int16(uint16(script.Byte())<<8|uint16(script.Byte()))) / 8
	l := labelValues[int(label)%len(labelValues)]
	switch {
	case op == opAbsorb:
		if _, err := compact.Run(w.t.Context(), w.dir, compact.Opts{Limits: compact.Limits{CoreShare: 1}, Logger: silent}); err != nil {
			w.t.Fatal(err)
		}
	case p.store == nil:
	case op == opCount:
		p.counters.WithLabelValues(l).Add(math.Abs(v))
		p.counted[l] += math.Abs(v)
	case op == opObserve:
		p.histogram.WithLabelValues(l).Observe(v)
		p.summary.WithLabelValues(l).Observe(v)
		p.observed[l] = append(p.observed[l], v)
	case op == opSet:
		mode := int(label) % len(modes)
		p.gauges[mode].WithLabelValues(l).Set(v)
		p.set[mode][l] = v
	case op == opEnd && p != ps[0]: // one lives
		p.end(w)
	}
}

func (p *process) end(w *world) {
	if p.store != nil {
		w.end(p.store)
		p.store = nil
	}
}

// expected is what a model says of the samples, by name and label.
func expected(ps []*process) map[string]float64 {
	want := map[string]float64{}
	for _, p := range ps {
		for l, v := range p.counted {
			want[sample("c_total", l)] += v
		}
		for l, observed := range p.observed {
			for _, v := range observed {
				for _, name := range []string{"h", "s"} {
					want[sample(name+"_count", l)]++
					want[sample(name+"_sum", l)] += v
				}
				for _, b := range append(bounds, math.Inf(1)) {
					add := 0.0
					if v <= b {
						add = 1
					}
					want[sample(fmt.Sprint("h_bucket ", b), l)] += add
				}
			}
		}
	}
	for i, mode := range modes {
		for _, l := range labelValues {
			if v, ok := gauge(ps, i, mode, l); ok {
				want[sample(fmt.Sprint("g", i), l)] = v
			}
		}
	}
	return want
}

// gauge merges the gauges of all processes that take part.
func gauge(ps []*process, i int, mode store.MergeMode, l string) (merged float64, ok bool) {
	sum, n := 0.0, 0.0
	for _, p := range ps {
		v, set := p.set[i][l]
		live := mode == store.LiveSum || mode == store.LiveMin || mode == store.LiveMax || mode == store.LiveMean
		if !set || live && p.store == nil {
			continue
		}
		switch first := n == 0; mode {
		case store.Min, store.LiveMin:
			if first || v < merged {
				merged = v
			}
		case store.Max, store.LiveMax:
			if first || v > merged {
				merged = v
			}
		}
		sum, n = sum+v, n+1
	}
	switch mode {
	case store.Sum, store.LiveSum:
		merged = sum
	case store.LiveMean:
		merged = sum / n
	}
	return merged, n > 0
}

func sample(name, label string) string { return fmt.Sprintf("%s %q", name, label) }

// exposed are the samples that a parser reads from what is exposed.
func exposed(t *testing.T, dir string) map[string]float64 {
	t.Helper()
	text := encode(t, gather(t, dir))
	parser := expfmt.NewTextParser(model.UTF8Validation)
	parsed, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("parse: %v\n%q", err, text)
	}
	got := map[string]float64{}
	for name, f := range parsed {
		for _, m := range f.GetMetric() {
			label := labelOf(m)
			switch h, s := m.GetHistogram(), m.GetSummary(); {
			case h != nil:
				got[sample(name+"_count", label)], got[sample(name+"_sum", label)] = float64(h.GetSampleCount()), h.GetSampleSum()
				for _, b := range h.GetBucket() {
					got[sample(fmt.Sprint(name+"_bucket ", b.GetUpperBound()), label)] = float64(b.GetCumulativeCount())
				}
			case s != nil:
				got[sample(name+"_count", label)], got[sample(name+"_sum", label)] = float64(s.GetSampleCount()), s.GetSampleSum()
			case strings.HasPrefix(name, "g"):
				got[sample(name, label)] = m.GetGauge().GetValue()
			default:
				got[sample(name, label)] = m.GetCounter().GetValue()
			}
		}
	}
	return got
}

func labelOf(m *dto.Metric) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == "l" {
			return l.GetValue()
		}
	}
	return ""
}
