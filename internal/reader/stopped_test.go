//go:build unix

package reader

import (
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// A reader is stopped between the log and the cells, and the owner mirrors again meanwhile. What the
// reader shows then is of one flush: a count belongs to its native buckets, a new series has its
// value, and a series that has left is gone.
func TestMirroredAgainWhileTheReaderIsStopped(t *testing.T) {
	p := owner(t)
	counter := func(values map[string]float64) *dto.MetricFamily {
		c := &dto.MetricFamily{Name: new("c_total"), Help: new("h"), Type: dto.MetricType_COUNTER.Enum()}
		for l, v := range values {
			c.Metric = append(c.Metric, &dto.Metric{Label: []*dto.LabelPair{{Name: new("l"), Value: new(l)}}, Counter: &dto.Counter{Value: new(v)}})
		}
		return c
	}
	put := func(count uint64, counters map[string]float64) {
		t.Helper()
		f := native(5, &layout.Native{Schema: 2, Positive: []layout.NativeBucket{{Index: 7, Count: count}}})
		puts(t, p, map[string][]byte{"n": encoded(t, f, 0), "c_total": encoded(t, counter(counters), 0)})
	}
	var f *File
	check := func(what string, count uint64, counters map[string]float64) {
		t.Helper()
		values, err := f.Load()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		shown := 0
		for i, e := range f.Entries() {
			family := f.Families()[e.Family]
			switch {
			case e.Gone:
			case family.Type == layout.NativeHistogram:
				if n := f.Natives()[i].Observations(); n != values[e.At] || n != count {
					t.Errorf("%s: count %d, and %d in native buckets; want %d", what, values[e.At], n, count)
				}
			case float64(values[e.At]) != counters[e.Values[0]]:
				t.Errorf("%s: %s%v is %d, want %v", what, family.Name, e.Values, values[e.At], counters[e.Values[0]])
			default:
				shown++
			}
		}
		if shown != len(counters) {
			t.Errorf("%s: %d counters, want %d", what, shown, len(counters))
		}
	}
	put(10, map[string]float64{"old": 3})
	f = open(t, p.Path())
	check("before", 10, map[string]float64{"old": 3})
	for _, c := range []struct {
		name     string
		count    uint64
		counters map[string]float64
	}{
		{name: "observations, and a new series", count: 15, counters: map[string]float64{"old": 4, "new": 7}},
		{name: "observations, and a series that leaves", count: 16, counters: map[string]float64{"new": 8}},
		{name: "a series that comes back", count: 16, counters: map[string]float64{"old": 5, "new": 8, "more": 1}},
	} {
		if err := f.Refresh(); err != nil {
			t.Fatal(err)
		}
		put(c.count, c.counters)
		time.Sleep(2 * stopped)
		check(c.name, c.count, c.counters)
	}
}
