package foreign

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// counting is a metric that counts how often it is written.
type counting struct {
	prometheus.Metric
	written *int
}

func (c *counting) Write(out *dto.Metric) error {
	*c.written++
	return c.Metric.Write(out)
}

// large is a collector of series of about a kilobyte each. Its metrics are the same in each look,
// as those of a vec, or made anew.
type large struct {
	desc    *prometheus.Desc
	anew    bool
	metrics map[int]*counting
	written int
}

func newLarge(name string) *large {
	return &large{desc: prometheus.NewDesc(name, "h", []string{"l"}, nil), metrics: map[int]*counting{}}
}

func (l *large) make(n int) *counting {
	m := prometheus.MustNewConstMetric(l.desc, prometheus.CounterValue, float64(n), fmt.Sprintf("%d-%s", n, strings.Repeat("x", 1000)))
	return &counting{m, &l.written}
}

// is lets the collector have the series of some numbers.
func (l *large) is(from, to int) {
	for n := range l.metrics {
		if n < from || n >= to {
			delete(l.metrics, n)
		}
	}
	for n := from; n < to; n++ {
		if l.metrics[n] == nil {
			l.metrics[n] = l.make(n)
		}
	}
}

func (l *large) Describe(ch chan<- *prometheus.Desc) { ch <- l.desc }

func (l *large) Collect(ch chan<- prometheus.Metric) {
	for n, m := range l.metrics {
		if l.anew {
			m = l.make(n)
		}
		ch <- m
	}
}

// has returns how many series of the numbers from..to readers find, by the values of w.values.
func has(values map[string]float64, name string, from, to int) (n int) {
	for key, v := range values {
		if strings.HasPrefix(key, name+"/") && v >= float64(from) && v < float64(to) {
			n++
		}
	}
	return n
}

// How many series of large have room in a family.
const (
	roomAtLeast = 950
	roomAtMost  = 1024
)

// Series beyond the room cost a look nothing but their receipt: no metric is written, nothing is
// kept. The series with room are the same in each look.
func TestSeriesBeyondTheRoomAreNotWritten(t *testing.T) {
	for _, anew := range []bool{false, true} {
		t.Run(fmt.Sprint("anew=", anew), func(t *testing.T) {
			w, l := newWorld(t), newLarge("l_total")
			w.add(l)
			const all = 6000
			l.is(0, all)
			l.anew = anew
			first := w.values()
			shown := has(first, "l_total", 0, all)
			if shown < roomAtLeast || shown > roomAtMost {
				t.Fatalf("%d series are shown", shown)
			}
			if w.unmirrored[reasonLimit] != all-shown {
				t.Errorf("%d series are counted as beyond the limit, want %d", w.unmirrored[reasonLimit], all-shown)
			}
			for look := range 3 {
				l.written = 0
				got := w.values()
				for key := range first {
					if _, ok := got[key]; !ok {
						t.Fatalf("series %.30s was shown, and is not", key)
					}
				}
				if !anew && look > 0 && l.written > shown+10 {
					t.Errorf("%d metrics were written for %d series", l.written, shown)
				}
			}
			c := w.m.guards[0].collection
			if n := len(c.parts["l_total"].records); n != shown {
				t.Errorf("%d records are kept for %d series", n, shown)
			}
		})
	}
}

// Living series have the room of deleted series at once, in the look that finds out, also if far
// more series have no room.
func TestLivingSeriesTakeTheRoomOfTheDeleted(t *testing.T) {
	for _, c := range []struct {
		name     string
		from, to int // the series after the first look had those of 0..900
		anew     bool
	}{
		{name: "all are others", from: 900, to: 1800},
		{name: "all are others, and more", from: 900, to: 8000},
		{name: "half are others", from: 450, to: 1350},
		{name: "all are others, made anew", from: 900, to: 1800, anew: true},
		{name: "half are others, made anew", from: 450, to: 1350, anew: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, l := newWorld(t), newLarge("l_total")
			w.add(l)
			l.anew = c.anew
			l.is(0, 900)
			for range 3 {
				if n := has(w.values(), "l_total", 0, 900); n != 900 {
					t.Fatalf("%d series are shown, want all 900", n)
				}
			}
			l.is(c.from, c.to)
			want := min(c.to-c.from, roomAtLeast)
			if n := has(w.values(), "l_total", c.from, c.to); n < want {
				t.Errorf("%d living series are shown, want at least %d", n, want)
			}
		})
	}
}

// A series that is far too large, or a family of too large a help text, takes no room from others.
func TestHugeSeriesHurtsNoOther(t *testing.T) {
	w := newWorld(t)
	huge := strings.Repeat("x", layout.MaxMirrorBytes)
	desc := prometheus.NewDesc("c_total", "h", []string{"l"}, nil)
	w.add(collect(func(ch chan<- prometheus.Metric) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, 1, huge)
		for n := range 100 {
			ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, 1, fmt.Sprint(n))
		}
		ch <- prometheus.MustNewConstMetric(prometheus.NewDesc("d_total", huge, nil, nil), prometheus.CounterValue, 1)
		ch <- prometheus.MustNewConstMetric(prometheus.NewDesc("e_total", "h", nil, nil), prometheus.CounterValue, 1)
	}))
	for range 2 {
		got := w.values()
		if n := has(got, "c_total", 0, 2); n != 100 || got["e_total"] != 1 || len(got) != 101 {
			t.Errorf("%d series of c_total and %v of e_total are shown", n, got["e_total"])
		}
	}
	if w.unmirrored[reasonLimit] == 0 {
		t.Error("nothing is counted as beyond the limit")
	}
}

// Far more families than have room are bounded like far more series.
func TestFamiliesBeyondTheRoom(t *testing.T) {
	w := newWorld(t)
	small := newTold("a_small_total")
	small.show = counted(1, time.Time{})
	help := strings.Repeat("h", 2000)
	const all = 5000
	descs := make([]*prometheus.Desc, all)
	for n := range descs {
		descs[n] = prometheus.NewDesc(fmt.Sprintf("f%d_total", n), help, nil, nil)
	}
	w.add(small, collect(func(ch chan<- prometheus.Metric) {
		for _, d := range descs {
			ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, 1)
		}
	}))
	for range 3 {
		got := w.values()
		if n := len(got); n < 1800 || n > 2100 || got["a_small_total"] != 1 {
			t.Errorf("%d families are shown, and %v of the small one", n, got["a_small_total"])
		}
		if n := len(w.m.guards[1].collection.parts); n > 2100 {
			t.Errorf("%d families are kept", n)
		}
	}
}

// A gauge leaves with its series. A look that could not read every metric takes no series for
// deleted, unless it is a gauge.
func TestLookThatLostAMetric(t *testing.T) {
	w := newWorld(t)
	counter, gauge := prometheus.NewDesc("c_total", "h", []string{"l"}, nil), prometheus.NewDesc("g", "h", []string{"l"}, nil)
	broken := false
	w.add(collect(func(ch chan<- prometheus.Metric) {
		for _, l := range []string{"a", "b"} {
			if l == "b" && broken {
				ch <- prometheus.NewInvalidMetric(counter, errors.New("cannot be read"))
				continue
			}
			ch <- prometheus.MustNewConstMetric(counter, prometheus.CounterValue, 1, l)
			ch <- prometheus.MustNewConstMetric(gauge, prometheus.GaugeValue, 1, l)
		}
	}))
	w.flush()
	broken = true
	if got := w.values(); got["c_total/b"] != 1 || got["c_total/a"] != 1 || got["g/a"] != 1 || len(got) != 3 {
		t.Errorf("a look that lost a metric shows %v", got)
	}
	for _, f := range w.m.families {
		if len(f.kept) > 0 {
			t.Errorf("%d series of %s are taken for deleted", len(f.kept), f.name)
		}
	}
	broken = false
	if got := w.values(); got["c_total/b"] != 1 || got["g/b"] != 1 {
		t.Errorf("a whole look after that shows %v", got)
	}
}

// byValue is a metric that is no pointer, and cannot be compared.
type byValue struct {
	prometheus.Metric
	_ []int
}

// relabeled is a metric whose labels change from look to look.
type relabeled struct {
	prometheus.Metric
	labels []*dto.LabelPair
}

func (r *relabeled) Write(out *dto.Metric) error {
	err := r.Metric.Write(out)
	out.Label = r.labels
	return err
}

// Metrics of any Go type are told apart by their labels, whatever their address.
func TestMetricsOfAnyType(t *testing.T) {
	w := newWorld(t)
	desc := prometheus.NewDesc("c_total", "h", []string{"l"}, nil)
	number := func(v float64, l string) prometheus.Metric {
		return prometheus.MustNewConstMetric(desc, prometheus.CounterValue, v, l)
	}
	moving := &relabeled{Metric: number(100, "m")}
	look := 0
	w.add(collect(func(ch chan<- prometheus.Metric) {
		look++
		ch <- byValue{Metric: number(1, "a")}
		ch <- byValue{Metric: number(2, "b")}
		moving.labels = []*dto.LabelPair{{Name: new("l"), Value: new(fmt.Sprint("m", look))}}
		ch <- moving
	}))
	for n := 1; n < 4; n++ {
		got := w.values()
		if got["c_total/a"] != 1 || got["c_total/b"] != 2 || got[fmt.Sprint("c_total/m", n)] != 100 {
			t.Errorf("look %d: %v", n, got)
		}
	}
}

// As in a registry, the first of two metrics with the same labels is shown, and the first of two
// types, help texts or units of one name; the conflict is counted. The other series go on.
func TestConflictsOfMetrics(t *testing.T) {
	counter := func(name, help, label string, v float64) prometheus.Metric {
		return prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, []string{"l"}, nil), prometheus.CounterValue, v, label)
	}
	gauge := prometheus.MustNewConstMetric(prometheus.NewDesc("c_total", "h", []string{"l"}, nil), prometheus.GaugeValue, 5, "b")
	for _, c := range []struct {
		name   string
		second prometheus.Metric
	}{
		{name: "the same labels", second: counter("c_total", "h", "a", 7)},
		{name: "another help", second: counter("c_total", "other", "b", 7)},
		{name: "another type", second: gauge},
	} {
		for _, collectors := range []int{1, 2} {
			t.Run(fmt.Sprintf("%s/collectors=%d", c.name, collectors), func(t *testing.T) {
				w := newWorld(t)
				first, last := counter("c_total", "h", "a", 1), counter("c_total", "h", "z", 3)
				if collectors == 1 {
					w.add(collect(func(ch chan<- prometheus.Metric) { ch <- first; ch <- c.second; ch <- last }))
				} else {
					w.add(collect(func(ch chan<- prometheus.Metric) { ch <- first; ch <- last }), collect(func(ch chan<- prometheus.Metric) { ch <- c.second }))
				}
				for n := 1; n < 4; n++ {
					got := w.values()
					if got["c_total/a"] != 1 || got["c_total/z"] != 3 || len(got) != 2 {
						t.Errorf("%v", got)
					}
					if w.unmirrored[reasonError] != n {
						t.Errorf("%d conflicts are counted after %d looks", w.unmirrored[reasonError], n)
					}
				}
			})
		}
	}
}

// A name that had one type, or one help text, has another one when its collector is another one,
// or changes its mind.
func TestFamilyOfAnotherType(t *testing.T) {
	for _, unregister := range []bool{true, false} {
		t.Run(fmt.Sprint("unregister=", unregister), func(t *testing.T) {
			w := newWorld(t)
			show := []prometheus.Metric{
				prometheus.MustNewConstMetric(prometheus.NewDesc("x", "h", nil, nil), prometheus.CounterValue, 1),
				prometheus.MustNewConstMetric(prometheus.NewDesc("x", "h", nil, nil), prometheus.GaugeValue, 2),
				prometheus.MustNewConstMetric(prometheus.NewDesc("x", "other", nil, nil), prometheus.GaugeValue, 3),
				prometheus.MustNewConstMetric(prometheus.NewDesc("x", "other", nil, nil), prometheus.UntypedValue, 4),
				prometheus.MustNewConstMetric(prometheus.NewDesc("x", "other", nil, nil), prometheus.CounterValue, 5),
			}
			now := 0
			c := collect(func(ch chan<- prometheus.Metric) { ch <- show[now] })
			for now = range show {
				if now == 0 || unregister {
					w.add(c)
				}
				f := w.flush()
				if len(f) != 1 || len(f[0].Metric) != 1 || numberOf(f[0].Metric[0]) != float64(now+1) || f[0].GetHelp() != map[bool]string{true: "h", false: "other"}[now < 2] {
					t.Errorf("%d: %v", now, f)
				}
				if unregister {
					w.m.Remove(c)
				}
			}
		})
	}
}

// A wrapped collector makes its metrics and its descriptors anew for each look.
func TestWrappedCollector(t *testing.T) {
	w := newWorld(t)
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "c_total", Help: "h"}, []string{"l"})
	w.add(prometheus.WrapCollectorWith(prometheus.Labels{"zone": "z"}, prometheus.WrapCollectorWithPrefix("app_", vec)))
	for n := range 3 {
		for l := range 100 {
			vec.WithLabelValues(fmt.Sprint(l)).Inc()
		}
		got := w.values()
		if has(got, "app_c_total", n+1, n+2) != 100 || len(got) != 100 {
			t.Errorf("look %d: %v", n, got)
		}
	}
	if n := len(w.m.guards[0].collection.byAddress); n != 0 {
		t.Errorf("%d metrics are held by their address, which says nothing", n)
	}
}
