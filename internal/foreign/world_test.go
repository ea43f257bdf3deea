package foreign

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"

	"github.com/mpmetrics/mpmetrics/internal/instrument"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/mirror"
	"github.com/mpmetrics/mpmetrics/internal/place"
)

// world is a Mirror, its place and its store.
type world struct {
	t          testing.TB
	m          *Mirror
	staged     place.Mirrored
	unmirrored map[string]int
	resets     map[string]int
	modes      map[string]layout.Mode // configured by the user; 0 omits the family
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, unmirrored: map[string]int{}, resets: map[string]int{}, modes: map[string]layout.Mode{}}
	w.m = New(Config{Catalog: instrument.NewCatalog(1), Place: sharedPlace{world: w}, Logger: slog.New(slog.DiscardHandler), Host: w})
	w.m.patience = time.Minute // on a busy machine, with the race detector
	return w
}

func (w *world) Mode(f *dto.MetricFamily) (mode layout.Mode, configured, omit bool) {
	if mode, configured = w.modes[f.GetName()]; configured {
		return mode, true, mode == 0
	}
	if f.GetType() == dto.MetricType_GAUGE || f.GetType() == dto.MetricType_UNTYPED {
		mode = layout.LiveSum
	}
	return mode, false, false
}

func (w *world) Unmirrored(reason string, n int) { w.unmirrored[reason] += n }
func (w *world) Reset(family string, n int)      { w.resets[family] += n }

// sharedPlace is a place that keeps the staged values.
type sharedPlace struct {
	place.Memory
	*world
}

func (p sharedPlace) Shared() bool { return true }
func (p sharedPlace) Ready() bool  { return true }
func (p sharedPlace) Stage(changed place.Mirrored) {
	p.staged.Add(changed)
	p.staged.Settle()
}

// flush flushes the mirror, and returns the families that readers find, in the order of their
// names. flush fails the test for a family that a reader would refuse.
func (w *world) flush() []*dto.MetricFamily {
	w.t.Helper()
	if err := w.m.Flush(context.Background()); err != nil {
		w.t.Fatal(err)
	}
	var all []*dto.MetricFamily
	total := 0
	for _, name := range slices.Sorted(maps.Keys(w.staged.Families)) {
		value := w.staged.Families[name]
		total += len(value)
		series, err := mirror.Decode(name, value)
		if err != nil {
			w.t.Fatalf("a reader refuses family %q: %v", name, err)
		}
		shares := 0
		for _, s := range series {
			if s.Share {
				shares++
			}
		}
		if want := len(w.m.families[name].kept) - w.leftIn(name); shares != want {
			w.t.Errorf("readers find %d shares of %q, want %d", shares, name, want)
		}
		_, encoded, err := layout.DecodeMirror(value)
		f := &dto.MetricFamily{}
		if err != nil || proto.Unmarshal(encoded, f) != nil {
			w.t.Fatalf("family %q: %v", name, err)
		}
		all = append(all, f)
	}
	if total > maxMirrorBytes {
		w.t.Errorf("%d bytes are staged, at most %d", total, maxMirrorBytes)
	}
	w.check()
	return all
}

// values returns what readers find after a flush, by name and label values: the number of a
// counter, gauge or untyped metric, and the count of a histogram or summary. The key of a share
// ends in "(deleted)".
func (w *world) values() map[string]float64 {
	w.t.Helper()
	values := map[string]float64{}
	for _, f := range w.flush() {
		for _, m := range f.Metric {
			key := []string{f.GetName()}
			for _, l := range m.Label {
				key = append(key, l.GetValue())
			}
			name := strings.Join(key, "/")
			if m.TimestampMs != nil {
				name += "(deleted)"
			}
			values[name] += numberOf(m)
		}
	}
	return values
}

func numberOf(m *dto.Metric) float64 {
	switch {
	case m.Counter != nil:
		return m.Counter.GetValue()
	case m.Gauge != nil:
		return m.Gauge.GetValue()
	case m.Untyped != nil:
		return m.Untyped.GetValue()
	case m.Histogram != nil:
		return float64(m.Histogram.GetSampleCount())
	}
	return float64(m.Summary.GetSampleCount())
}

// leftIn returns how many series of unregistered collectors a family has.
func (w *world) leftIn(name string) (n int) {
	for _, s := range w.m.families[name].kept {
		if s.state == left {
			n++
		}
	}
	return n
}

// add registers collectors.
func (w *world) add(all ...prometheus.Collector) {
	for _, c := range all {
		w.m.Add(c)
	}
}

// check checks the sums and lists of the mirror and of its collections.
func (w *world) check() {
	w.t.Helper()
	m := w.m
	total, hashed := 0, 0
	for name, f := range m.families {
		size, living, gone := f.head, 0, 0
		for i, s := range f.series {
			size += int(s.size)
			if int(s.at) != i || s.family != f || s.state == dropped {
				w.t.Errorf("series %s%s: at %d, want %d, state %d", name, labelText(s.labels), s.at, i, s.state)
			}
			if s.owner != nil {
				living++
			} else if s.state == deleted {
				gone += int(s.size)
			}
			if len(s.encoded)+longBytes > int(s.size) {
				w.t.Errorf("series %s%s: %d bytes, has room for %d", name, labelText(s.labels), len(s.encoded), s.size)
			}
		}
		if size != f.bytes || living != f.living || len(f.series)-living != len(f.kept) || gone != f.gone {
			w.t.Errorf("family %s: %d bytes, %d series with owner, %d kept, %d bytes gone, want %d, %d, %d, %d", name,
				f.bytes, f.living, len(f.kept), f.gone, size, living, len(f.series)-living, gone)
		}
		total += f.bytes
	}
	for _, s := range m.byHash {
		for ; s != nil; s = s.next {
			hashed++
		}
	}
	series := 0
	for _, f := range m.families {
		series += len(f.series)
	}
	if total != m.bytes || hashed != series {
		w.t.Errorf("%d bytes and %d series by hash, want %d and %d", m.bytes, hashed, total, series)
	}
	for _, g := range m.guards {
		g.mu.Lock()
		busy := g.busy
		g.mu.Unlock()
		if !busy {
			w.checkCollection(g.collection)
		}
	}
}

func (w *world) checkCollection(c *collection) {
	w.t.Helper()
	total, records, hashed := 0, 0, 0
	for name, p := range c.parts {
		size := p.size()
		for i, r := range p.records {
			size += int(r.size)
			if int(r.at) != i || r.part != p {
				w.t.Errorf("record %s%s: at %d, want %d", name, labelText(r.labels), r.at, i)
			}
		}
		if size != p.bytes {
			w.t.Errorf("part %s: %d bytes, want %d", name, p.bytes, size)
		}
		total += p.bytes
		records += len(p.records)
	}
	for _, r := range c.byHash {
		for ; r != nil; r = r.next {
			hashed++
		}
	}
	for at, r := range c.byAddress {
		if at != address(r.metric) || r.part.records[r.at] != r {
			w.t.Errorf("address %#x of a record that is not there", at)
		}
	}
	if total != c.bytes || records != hashed || len(c.byAddress) > records {
		w.t.Errorf("collection: %d bytes, %d records by hash, %d by address, want %d and %d", c.bytes, hashed, len(c.byAddress), total, records)
	}
}
