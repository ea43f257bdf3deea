package foreign

import (
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// fitTo leaves the series that are shown room to grow: numbers become longer, and native
// histograms get buckets.
const fitTo = layout.MaxMirrorBytes / 4 * 3

// fit drops series of a family that is too large for a reader: series that were
// not staged last time, once there is no room. Staged series stay, because their total
// would dip; if the staged series alone are too large, the family stays as it was.
func (m *Mirror) fit(f *dto.MetricFamily) *dto.MetricFamily {
	staged := m.stagedOf(f.GetName())
	out := &dto.MetricFamily{Name: f.Name, Help: f.Help, Type: f.Type, Unit: f.Unit}
	size, fits := proto.Size(out), make([]bool, len(f.Metric))
	for _, known := range []bool{true, false} {
		for i, metric := range f.Metric {
			if staged[seriesKey(metric)] != known {
				continue
			}
			more := 1 + protowire.SizeBytes(proto.Size(metric)) // with its tag
			if known || size+more <= fitTo {
				fits[i] = true
				size += more
			}
		}
	}
	for i, metric := range f.Metric {
		if fits[i] {
			out.Metric = append(out.Metric, metric)
		}
	}
	return out
}

// stagedOf returns the series of a family that were staged last, by seriesKey.
func (m *Mirror) stagedOf(name string) map[string]bool {
	value := m.staged.Families[name]
	if value == nil {
		return nil
	}
	keys := map[string]bool{}
	var f dto.MetricFamily
	if _, encoded, err := layout.DecodeMirror(value); err == nil && proto.Unmarshal(encoded, &f) == nil { // valid checked the value
		for _, metric := range f.Metric {
			keys[seriesKey(metric)] = true
		}
	}
	return keys
}
