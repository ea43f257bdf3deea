//go:build unix

package reader

import (
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/mirror"
)

// native is a family of one native histogram that began at so many seconds.
func native(began int64, n *layout.Native) *dto.MetricFamily {
	h := &dto.Histogram{SampleCount: new(n.Observations()), SampleSum: new(0.0), CreatedTimestamp: timestamppb.New(time.Unix(began, 0))}
	mirror.EncodeNative(h, n)
	return &dto.MetricFamily{Name: new("n"), Help: new("h"), Type: dto.MetricType_HISTOGRAM.Enum(), Metric: []*dto.Metric{{Histogram: h}}}
}

// Native buckets change with their series, leave with it, and what was read stays as it
// was: a scrape may be adding it up.
func TestMirrorNative(t *testing.T) {
	p := owner(t)
	f := open(t, p.Path())
	put := func(began int64, n *layout.Native) {
		t.Helper()
		var b []byte
		if n != nil {
			b = encoded(t, native(began, n), 0)
		}
		puts(t, p, map[string][]byte{"n": b})
		shows(t, f)
	}
	natives := func() []*layout.Native {
		var all []*layout.Native
		for i, n := range f.Natives() {
			if f.Entries()[i].Gone || !f.Entries()[i].Mirrored {
				t.Errorf("entry %d: %+v", i, f.Entries()[i])
			}
			all = append(all, n)
		}
		return all
	}
	check := func(what string, want ...*layout.Native) {
		t.Helper()
		if diff := cmp.Diff(want, natives(), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	first := &layout.Native{Schema: 2, Threshold: 0.5, Zero: 3, Positive: []layout.NativeBucket{{Index: 7, Count: 1}}}
	put(5, first)
	check("first", first)
	before, memory := maps.Clone(f.Natives()), f.Memory()
	held := f.Natives()
	second := &layout.Native{Schema: 1, Threshold: 0.5, Zero: 4, Positive: []layout.NativeBucket{{Index: 4, Count: 9}, {Index: 9, Count: 1}}}
	put(5, second)
	check("coarser, and more", second)
	if diff := cmp.Diff(before, held); diff != "" {
		t.Errorf("what was read before changed:\n%s", diff)
	}
	if f.Memory() <= memory {
		t.Errorf("%d bytes with one more bucket, %d before", f.Memory(), memory)
	}
	put(6, first)
	check("made again", first)
	if e := f.Entries(); len(e) != 2 || !e[0].Gone || e[1].Created != time.Unix(6, 0).UnixNano() {
		t.Errorf("entries %+v, want that of before gone, and one with its own start timestamp", e)
	}
	put(0, nil)
	check("gone")
	if h, err := ReadHeader(p.Path()); err != nil || h.ID != f.Header().ID {
		t.Errorf("header %v, %v", h, err)
	}
}
