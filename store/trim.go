package store

import (
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// trimTo leaves those that are shown room to grow: numbers become longer, and native
// histograms get buckets.
const trimTo = layout.MaxMirrorBytes / 4 * 3

// trim leaves series out of a family that is too large for a reader: those that were
// not staged last time, once there is no room. What was staged stays, or its total
// would dip; if that alone has grown too large, the family stays as it was.
func (m *mirrorer) trim(f *dto.MetricFamily) *dto.MetricFamily {
	staged := m.stagedOf(f.GetName())
	out := &dto.MetricFamily{Name: f.Name, Help: f.Help, Type: f.Type, Unit: f.Unit}
	size, fits := proto.Size(out), make([]bool, len(f.Metric))
	for _, known := range []bool{true, false} {
		for i, metric := range f.Metric {
			if staged[seriesKey(metric)] != known {
				continue
			}
			more := 1 + protowire.SizeBytes(proto.Size(metric)) // with its tag
			if fits[i] = known || size+more <= trimTo; fits[i] {
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

// stagedOf are the series of a family that were staged last, by seriesKey.
func (m *mirrorer) stagedOf(name string) map[string]bool {
	value := m.staged.families[name]
	if value == nil {
		return nil
	}
	keys := map[string]bool{}
	var f dto.MetricFamily
	if _, encoded, err := layout.DecodeMirror(value); err == nil && proto.Unmarshal(encoded, &f) == nil { // or it would not be there
		for _, metric := range f.Metric {
			keys[seriesKey(metric)] = true
		}
	}
	return keys
}
