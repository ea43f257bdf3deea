package inspect

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/selector"
)

// Snapshot has all samples of one moment, without buckets.
type Snapshot struct {
	Name    string    // directory or file
	Time    time.Time // zero: not known
	Samples map[string]Sample
}

// NewSnapshot returns the snapshot of families.
func NewSnapshot(name string, at time.Time, families []*dto.MetricFamily) *Snapshot {
	s := &Snapshot{Name: name, Time: at, Samples: map[string]Sample{}}
	for _, f := range families {
		for _, sample := range Samples(f) {
			if sample.Name != f.GetName()+"_bucket" {
				s.Add(sample)
			}
		}
	}
	return s
}

// Add adds a sample. A label without a value is no label in the data model of Prometheus.
func (s *Snapshot) Add(sample Sample) {
	s.Samples[seriesKey(sample.Name, sample.Labels)] = sample
}

func seriesKey(name string, labels []layout.Label) string {
	return SeriesText(name, slices.DeleteFunc(slices.Clone(labels), func(l layout.Label) bool { return l.Value == "" }))
}

// Snapshot returns the samples of a Survey. Call Snapshot before the next Read.
func (s *Survey) Snapshot(sel *selector.Selector, perProcess bool) (*Snapshot, error) {
	if perProcess {
		return NewSnapshot(s.Directory, s.Time, s.GatherProcesses(sel)), nil
	}
	families, err := s.Gather(sel)
	if err != nil {
		return nil, err
	}
	return NewSnapshot(s.Directory, s.Time, families), nil
}

// Snapshot returns the samples in the file of one process.
func (d *Detail) Snapshot(sel *selector.Selector) *Snapshot {
	s := &Snapshot{Name: d.Process.Path, Samples: map[string]Sample{}}
	for _, v := range d.Values {
		if !matches(sel, v.Family, v.Labels) {
			continue
		}
		cumulative := v.Family.Type.Cumulative()
		if !v.Observed {
			s.Add(Sample{Name: v.Family.Name, Labels: v.Labels, Value: v.Value, Cumulative: cumulative})
			continue
		}
		s.Add(Sample{Name: v.Family.Name + countSuffix, Labels: v.Labels, Value: float64(v.Count), Cumulative: true})
		s.Add(Sample{Name: v.Family.Name + sumSuffix, Labels: v.Labels, Value: v.Sum, Cumulative: true, Sum: true})
	}
	return s
}

// ParseExposition reads families in the text format of Prometheus, or of OpenMetrics
// as far as the two are alike.
func ParseExposition(in io.Reader, sel *selector.Selector) ([]*dto.MetricFamily, error) {
	p := expfmt.NewTextParser(model.UTF8Validation)
	byName, err := p.TextToMetricFamilies(in)
	if err != nil {
		return nil, fmt.Errorf("no exposition: %w", err)
	}
	families := make([]*dto.MetricFamily, 0, len(byName))
	for _, f := range byName {
		families = append(families, f)
	}
	return filter(families, sel), nil
}

// Changes of a series between two snapshots.
const (
	Changed   = "changed"
	Unchanged = "unchanged"
	Added     = "new"
	Removed   = "gone"
	Restarted = "reset" // a cumulative series is lower than before; of a sum, its count is
)

// Change is a series in two snapshots.
type Change struct {
	Series        string
	Sample        // of the second snapshot, or of the first if the series was removed
	What          string
	Before, After float64 // NaN if the snapshot lacks the series
	Rate          float64 // in a second; NaN: not known
}

// Delta is the difference.
func (c *Change) Delta() float64 {
	switch c.What {
	case Added, Restarted:
		return c.After
	case Removed:
		return math.NaN()
	}
	return c.After - c.Before
}

// restarted reports whether a series of both snapshots is lower than before. A sum may fall without
// a restart, and grow beyond its former value after a restart: the count of a sum decides.
func restarted(key string, a, b *Snapshot) bool {
	before, after := a.Samples[key], b.Samples[key]
	if after.Sum {
		count := seriesKey(strings.TrimSuffix(after.Name, sumSuffix)+countSuffix, after.Labels)
		before, after = a.Samples[count], b.Samples[count]
	}
	return after.Cumulative && after.Value < before.Value
}

// Diff compares two snapshots: all series, the largest change first, and unchanged series last.
func Diff(a, b *Snapshot) []Change {
	seconds := math.NaN()
	if !a.Time.IsZero() && b.Time.After(a.Time) {
		seconds = b.Time.Sub(a.Time).Seconds()
	}
	var all []Change
	for key, after := range b.Samples {
		before, known := a.Samples[key]
		c := Change{Series: key, Sample: after, What: Changed, Before: before.Value, After: after.Value, Rate: math.NaN()}
		switch {
		case !known:
			c.What, c.Before = Added, math.NaN()
		case restarted(key, a, b):
			c.What = Restarted
		case before.Value == after.Value || math.IsNaN(before.Value) && math.IsNaN(after.Value):
			c.What = Unchanged
		}
		if after.Cumulative && known {
			c.Rate = c.Delta() / seconds
		}
		all = append(all, c)
	}
	for key, before := range a.Samples {
		if _, there := b.Samples[key]; !there {
			all = append(all, Change{Series: key, Sample: before, What: Removed, Before: before.Value, After: math.NaN(), Rate: math.NaN()})
		}
	}
	weight := func(c *Change) float64 {
		d := math.Abs(c.Delta())
		if math.IsNaN(d) {
			return 0
		}
		return d
	}
	slices.SortFunc(all, func(x, y Change) int {
		if (x.What == Unchanged) != (y.What == Unchanged) {
			if x.What == Unchanged {
				return +1
			}
			return -1
		}
		return cmp.Or(cmp.Compare(weight(&y), weight(&x)), strings.Compare(x.Series, y.Series))
	})
	return all
}
