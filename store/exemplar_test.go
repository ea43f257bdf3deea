package store_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/store"
)

// exemplarsOf are the values of the exemplars that a scrape shows, by name, label
// values and bucket.
func exemplarsOf(t *testing.T, dir string) map[string]float64 {
	t.Helper()
	c := collector.New(collector.Opts{Location: dir, NoAbsorption: true, Logger: silent})
	defer c.Close()
	families, err := registry(c).Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			name := f.GetName()
			for _, l := range m.Label {
				name += "/" + l.GetValue()
			}
			add := func(name string, e *dto.Exemplar) {
				if e == nil {
					return
				}
				for _, l := range e.Label {
					name += " " + l.GetName() + "=" + l.GetValue()
				}
				out[name] = e.GetValue()
			}
			add(name, m.GetCounter().GetExemplar())
			for i, b := range m.GetHistogram().GetBucket() {
				add(name+"/"+string(rune('0'+i)), b.GetExemplar())
			}
		}
	}
	return out
}

// The newest exemplar of all processes is shown, for each counter and bucket.
func TestNewestExemplarOfAllProcesses(t *testing.T) {
	dir := inMemory(t)
	trace := func(id string) prometheus.Labels { return prometheus.Labels{"trace": id} }
	var stores []*store.Store
	for n := range 2 {
		s := quiet(t, dir)
		stores = append(stores, s)
		id := string(rune('a' + n))
		s.NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "h"}).(prometheus.ExemplarAdder).AddWithExemplar(float64(n+1), trace(id))
		v := s.NewHistogramVec(prometheus.HistogramOpts{Name: "h", Help: "h", Buckets: []float64{1, 2}}, []string{"l"})
		h := v.WithLabelValues("x").(prometheus.ExemplarObserver)
		h.ObserveWithExemplar(0.5, trace(id))
		if n == 0 {
			h.ObserveWithExemplar(1.5, trace(id))
		} else {
			h.ObserveWithExemplar(7, trace(id))
			h.ObserveWithExemplar(7, nil) // which is none
		}
		promauto.With(s.Registerer()).NewCounter(prometheus.CounterOpts{Name: "mirrored_total", Help: "h"}).(prometheus.ExemplarAdder).AddWithExemplar(float64(10*n), trace(id))
		_ = s.Flush(context.Background())
		time.Sleep(time.Millisecond) // for another time
	}
	want := map[string]float64{
		"c_total trace=b": 2, "h/x/0 trace=b": 0.5, "h/x/1 trace=a": 1.5, "h/x/2 trace=b": 7, "mirrored_total trace=b": 10,
	}
	if diff := cmp.Diff(want, exemplarsOf(t, dir)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, s := range stores {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want, exemplarsOf(t, dir)); diff != "" {
		t.Errorf("of the dead (-want +got):\n%s", diff)
	}
}

func TestExemplarsRefused(t *testing.T) {
	s := quiet(t, inMemory(t))
	c := s.NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "h"}).(prometheus.ExemplarAdder)
	h := s.NewHistogram(prometheus.HistogramOpts{Name: "h", Help: "h"}).(prometheus.ExemplarObserver)
	for name, labels := range map[string]prometheus.Labels{
		"reserved name": {"__name__": "x"}, "empty name": {"": "x"}, "value that is no UTF-8": {"a": "\xff"}, "long": {"a": strings.Repeat("x", 200)},
	} {
		for kind, do := range map[string]func(){"counter": func() { c.AddWithExemplar(1, labels) }, "histogram": func() { h.ObserveWithExemplar(1, labels) }} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s of a %s was accepted", name, kind)
					}
				}()
				do()
			}()
		}
	}
	if got := merged(registry(s)); got["c_total"] != 0 || got["h"] != 0 {
		t.Errorf("what was refused counts: %v", got)
	}
}

// client_golang's own middleware finds the interfaces.
func TestExemplarsOfMiddleware(t *testing.T) {
	dir := inMemory(t)
	s := quiet(t, dir)
	v := s.NewCounterVec(prometheus.CounterOpts{Name: "requests_total", Help: "h"}, []string{"code"})
	handler := promhttp.InstrumentHandlerCounter(v, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}),
		promhttp.WithExemplarFromContext(func(context.Context) prometheus.Labels { return prometheus.Labels{"trace": "t"} }))
	handler(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	_ = s.Flush(context.Background())
	same(t, "counted", mergedOf(t, dir), map[string]float64{"requests_total/200": 1})
	if diff := cmp.Diff(map[string]float64{"requests_total/200 trace=t": 1}, exemplarsOf(t, dir)); diff != "" {
		t.Errorf("exemplars (-want +got):\n%s", diff)
	}
}
