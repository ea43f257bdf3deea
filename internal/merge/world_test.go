package merge

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// values are what a merge shows, by name and labels; a histogram has one entry
// for each bucket, not cumulative.
type values map[string]float64

// peer is a process of a test: what it has defined and what its cells hold.
type peer struct {
	member *Member
	cells  []uint64
	count  int // of families
}

// world is a Merger and its peers.
type world struct {
	t     testing.TB
	m     *Merger
	peers []*peer
}

func newWorld(t testing.TB) *world { return &world{t: t, m: New()} }

// start returns a process that started at so many nanoseconds. Its id is made
// of that.
func start(at int64, label string) Process {
	p := Process{Start: at, Label: label, Live: true}
	copy(p.ID[:], fmt.Sprintf("%016d", at))
	return p
}

func (w *world) join(p Process) *peer {
	x := &peer{member: w.m.Join(p)}
	w.peers = append(w.peers, x)
	return x
}

// define adds a family with one series of these label values and cells.
func (w *world) define(x *peer, f *layout.Family, labels []string, cells ...uint64) *peer {
	w.t.Helper()
	if err := f.Validate(); err != nil {
		w.t.Fatal(err)
	}
	if len(cells) != f.ValueWords() {
		w.t.Fatalf("%d cells for %v, want %d", len(cells), f, f.ValueWords())
	}
	w.m.Extend(x.member, []*layout.Family{f}, []Input{{Family: x.count, Values: labels, Created: x.member.Start, At: len(x.cells)}})
	x.count++
	x.cells = append(x.cells, cells...)
	return x
}

func (w *world) leave(x *peer) {
	w.m.Leave(x.member)
	for i, y := range w.peers {
		if x == y {
			w.peers = append(w.peers[:i], w.peers[i+1:]...)
			return
		}
	}
}

// sum merges and returns what is shown.
func (w *world) sum() values {
	w.t.Helper()
	w.m.Begin()
	for _, x := range w.peers {
		w.m.Add(x.member, x.cells)
	}
	return shown(w.t, w.m)
}

// shown reads a Merger, and checks that its order is the documented one.
func shown(t testing.TB, m *Merger) values {
	t.Helper()
	out := values{}
	last := ""
	for _, f := range m.Families() {
		if f.Name <= last {
			t.Errorf("family %q behind %q", f.Name, last)
		}
		last = f.Name
		for i, s := range f.Series {
			if i > 0 && order(f.Series[i-1].Labels, s.Labels) >= 0 {
				t.Errorf("%s: series %v behind %v", f.Name, s.Labels, f.Series[i-1].Labels)
			}
			name := f.Name + text(s.Labels)
			switch {
			case f.Mode.Valid():
				out[name] = s.Gauge()
			case f.Type == layout.Counter:
				out[name] = m.Counter(s)
			default:
				n, sum := s.Observations()
				out[name+"_count"], out[name+"_sum"] = float64(n), sum
				for i, n := range s.Buckets() {
					bound := math.Inf(+1)
					if i < len(f.Bounds) {
						bound = f.Bounds[i]
					}
					out[fmt.Sprintf("%s_le_%v", name, bound)] = float64(n)
				}
			}
		}
	}
	return out
}

// order compares labels one by one, name and value.
func order(a, b []layout.Label) int {
	return slices.CompareFunc(a, b, func(x, y layout.Label) int {
		return cmp.Or(strings.Compare(x.Name, y.Name), strings.Compare(x.Value, y.Value))
	})
}

func text(labels []layout.Label) string {
	pairs := make([]string, len(labels))
	for i, l := range labels {
		pairs[i] = l.Name + "=" + l.Value
	}
	if len(pairs) == 0 {
		return ""
	}
	return "{" + strings.Join(pairs, ",") + "}"
}

func (w *world) check(what string, want values) {
	w.t.Helper()
	if diff := gocmp.Diff(want, w.sum(), cmpopts.EquateNaNs(), cmpopts.EquateEmpty()); diff != "" {
		w.t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// reasons counts the conflicts.
func (w *world) reasons() map[Reason]int {
	out := map[Reason]int{}
	for _, c := range w.m.Conflicts() {
		out[c.Reason]++
	}
	return out
}

func (w *world) checkReasons(what string, want map[Reason]int) {
	w.t.Helper()
	if diff := gocmp.Diff(want, w.reasons(), cmpopts.EquateEmpty()); diff != "" {
		w.t.Errorf("%s: conflicts (-want +got):\n%s", what, diff)
	}
}

// both are all values of a and b.
func both(a, b values) values {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

func counterOf(name string, labels ...string) *layout.Family {
	return &layout.Family{Type: layout.Counter, Name: name, Help: "h", LabelNames: labels}
}

func gaugeFamily(name string, mode layout.Mode, labels ...string) *layout.Family {
	return &layout.Family{Type: layout.Gauge, Mode: mode, Name: name, Help: "h", LabelNames: labels}
}

func histogramOf(name string, bounds ...float64) *layout.Family {
	return &layout.Family{Type: layout.Histogram, Name: name, Help: "h", Bounds: bounds}
}

// counterCells are the cells of a counter that has this integer part.
func counterCells(n uint64) []uint64 { return []uint64{n, 0} }

// gaugeCells are the cells of a gauge in a mode that was set, at a time that
// only some modes keep.
func gaugeCells(mode layout.Mode, v float64, at int64) []uint64 {
	if mode.Timed() {
		return []uint64{1, math.Float64bits(v), uint64(at)}
	}
	return []uint64{layout.EncodeGauge(v)}
}

// neverSet are the cells of a gauge that nobody set.
func neverSet(mode layout.Mode) []uint64 {
	if mode.Timed() {
		return []uint64{0, 0, 0}
	}
	return []uint64{layout.GaugeNeverSet}
}

// histogramCells are the cells of a histogram with one observation for each
// number of these buckets, and a sum.
func histogramCells(sum float64, buckets ...uint64) []uint64 {
	cells := []uint64{0, math.Float64bits(sum)}
	for _, n := range buckets {
		cells[0] += n
	}
	return append(cells, buckets...)
}
