package instrument

import (
	"fmt"
	"math"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// noBucket is the bucket of an observation of a summary.
const noBucket = -1

// Summary implements prometheus.Summary without quantiles.
type Summary struct {
	Series
	group group

	base []uint64 // the zero of Write, as Load loads it; nil: zero. Written before the first update
}

// SummaryFamily makes the definition of a summary. SummaryFamily panics for options that
// break a rule, and for Objectives.
func SummaryFamily(o prometheus.SummaryOpts, labels prometheus.ConstrainableLabels) *Family {
	if len(o.Objectives) > 0 {
		name := prometheus.BuildFQName(o.Namespace, o.Subsystem, o.Name)
		panic(fmt.Errorf("mpmetrics: summary %q: quantiles of several processes cannot be merged; leave Objectives out, or use a histogram and histogram_quantile", name))
	}
	return NewFamily(layout.Family{
		Type: layout.Summary, Name: o.Name, Help: o.Help, Unit: o.Unit,
	}, labels, o.Namespace, o.Subsystem, o.ConstLabels)
}

// NewSummary makes a series of the family, which does not count yet.
func (f *Family) NewSummary(values ...string) *Summary {
	s := &Summary{}
	s.begin(s, f, values)
	return s
}

// Observe implements prometheus.Observer.
func (s *Summary) Observe(v float64) {
	if !s.group.lock() {
		s.group.rebind(&s.Series)
	}
	s.group.observe(v, noBucket)
	s.group.mu.Unlock()
}

// Collect implements prometheus.Collector.
func (s *Summary) Collect(ch chan<- prometheus.Metric) { ch <- s }

// Write implements prometheus.Metric.
func (s *Summary) Write(out *dto.Metric) error {
	count, sum := s.group.read()
	if s.base != nil {
		count, sum = count-s.base[0], sum-math.Float64frombits(s.base[1])
	}
	out.Label = s.LabelPairs()
	out.Summary = &dto.Summary{SampleCount: &count, SampleSum: &sum, CreatedTimestamp: s.startTimestamp()}
	return nil
}

// Keep implements Instrument.
func (s *Summary) Keep() { s.group.keep(layout.SummaryWords) }

// Use implements Instrument.
func (s *Summary) Use(cells []atomic.Uint64) { s.group.use(cells) }

// Load implements Instrument.
func (s *Summary) Load(out []uint64) { s.group.load(out) }

// Leave implements Instrument.
func (s *Summary) Leave() { s.Keep() }

// Mend implements Instrument.
func (s *Summary) Mend() (empty bool) { return s.group.empty() }
