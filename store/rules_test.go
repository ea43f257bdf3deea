package store_test

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/mpmetrics/mpmetrics/internal/testing/promtest"
	"github.com/mpmetrics/mpmetrics/store"
)

// factory makes metrics of one world: client_golang's own, or ours.
type factory struct {
	counter      func(prometheus.CounterOpts) prometheus.Counter
	counterVec   func(prometheus.CounterOpts, []string) *prometheus.CounterVec
	gauge        func(prometheus.GaugeOpts) prometheus.Gauge
	gaugeVec     func(prometheus.GaugeOpts, []string) *prometheus.GaugeVec
	histogram    func(prometheus.HistogramOpts) prometheus.Histogram
	histogramVec func(prometheus.HistogramOpts, []string) *prometheus.HistogramVec
	summary      func(prometheus.SummaryOpts) prometheus.Summary
	summaryVec   func(prometheus.SummaryOpts, []string) *prometheus.SummaryVec

	// gather gathers everything made so far, through a pedantic registry.
	gather func(testing.TB) []*dto.MetricFamily
}

// worlds are the rows of every table below: what holds in client_golang has to
// hold in ours, with and without a directory.
var worlds = []struct {
	name string
	open func(testing.TB) factory
}{
	{"client_golang", func(testing.TB) factory {
		r := prometheus.NewPedanticRegistry()
		f := promauto.With(r)
		return factory{
			counter:      f.NewCounter,
			counterVec:   f.NewCounterVec,
			gauge:        f.NewGauge,
			gaugeVec:     f.NewGaugeVec,
			histogram:    f.NewHistogram,
			histogramVec: f.NewHistogramVec,
			summary:      f.NewSummary,
			summaryVec:   f.NewSummaryVec,
			gather:       func(t testing.TB) []*dto.MetricFamily { return promtest.Gather(t, r) },
		}
	}},
	{"memory", func(t testing.TB) factory { return ours(open(t, store.Opts{Location: "memory:"})) }},
	{"directory", func(t testing.TB) factory { return ours(open(t, store.Opts{Location: t.TempDir()})) }},
}

func ours(s *store.Store) factory {
	return factory{
		counter:      s.NewCounter,
		counterVec:   s.NewCounterVec,
		gauge:        func(o prometheus.GaugeOpts) prometheus.Gauge { return s.NewGauge(o) },
		gaugeVec:     func(o prometheus.GaugeOpts, labels []string) *prometheus.GaugeVec { return s.NewGaugeVec(o, labels) },
		histogram:    s.NewHistogram,
		histogramVec: s.NewHistogramVec,
		summary:      s.NewSummary,
		summaryVec:   s.NewSummaryVec,
		gather: func(t testing.TB) []*dto.MetricFamily {
			t.Helper()
			r := prometheus.NewPedanticRegistry()
			r.MustRegister(s)
			return promtest.Gather(t, r)
		},
	}
}

// inEveryWorld runs a rule in each.
func inEveryWorld(t *testing.T, rule func(t *testing.T, f factory)) {
	t.Helper()
	for _, w := range worlds {
		t.Run(w.name, func(t *testing.T) { rule(t, w.open(t)) })
	}
}

// panicOf returns what do panics with, nil if it does not.
func panicOf(do func()) (r any) {
	defer func() { r = recover() }()
	do()
	return nil
}

var (
	counterOpts   = prometheus.CounterOpts{Name: "c_total", Help: "h"}
	gaugeOpts     = prometheus.GaugeOpts{Name: "g", Help: "h"}
	histogramOpts = prometheus.HistogramOpts{Name: "h", Help: "h", Buckets: []float64{1, 2, 4}}
	summaryOpts   = prometheus.SummaryOpts{Name: "s", Help: "h"}
)

func TestRulesCurrying(t *testing.T) {
	inEveryWorld(t, func(t *testing.T, f factory) {
		vec := f.counterVec(counterOpts, []string{"a", "b", "c"})
		curried := vec.MustCurryWith(prometheus.Labels{"b": "y"})
		curried.WithLabelValues("x", "z").Inc()
		curried.With(prometheus.Labels{"a": "x", "c": "z"}).Inc()
		vec.WithLabelValues("x", "y", "z").Inc()
		if got, want := testutil.ToFloat64(vec.WithLabelValues("x", "y", "z")), 3.0; got != want {
			t.Errorf("value: got %v, want %v", got, want)
		}
		observer := f.histogramVec(histogramOpts, []string{"a", "b"}).MustCurryWith(prometheus.Labels{"a": "x"})
		observer.WithLabelValues("y").Observe(1)
		if got, want := testutil.CollectAndCount(observer.(*prometheus.HistogramVec)), 1; got != want {
			t.Errorf("series of the histogram: got %d, want %d", got, want)
		}
	})
}

func TestRulesDelete(t *testing.T) {
	inEveryWorld(t, func(t *testing.T, f factory) {
		vec := f.counterVec(counterOpts, []string{"a", "b"})
		cached := vec.WithLabelValues("1", "1")
		for _, a := range []string{"1", "2", "3"} {
			for _, b := range []string{"1", "2"} {
				vec.WithLabelValues(a, b).Inc()
			}
		}
		for what, c := range map[string]struct{ got, want any }{
			"delete":                  {vec.DeleteLabelValues("1", "1"), true},
			"delete again":            {vec.DeleteLabelValues("1", "1"), false},
			"delete by name":          {vec.Delete(prometheus.Labels{"a": "1", "b": "2"}), true},
			"delete of a wrong count": {vec.DeleteLabelValues("2"), false},
			"partial":                 {vec.DeletePartialMatch(prometheus.Labels{"a": "2"}), 2},
			"left":                    {testutil.CollectAndCount(vec), 2},
		} {
			if c.got != c.want {
				t.Errorf("%s: got %v, want %v", what, c.got, c.want)
			}
		}
		cached.Inc() // somebody kept it
		if got, want := testutil.ToFloat64(vec.WithLabelValues("1", "1")), 0.0; got != want {
			t.Errorf("made again: got %v, want %v", got, want)
		}
		vec.Reset()
		cached.Inc()
		if got, want := testutil.CollectAndCount(vec), 0; got != want {
			t.Errorf("after Reset: %d series, want %d", got, want)
		}
		f.gather(t)
	})
}

func TestRulesToFloat64(t *testing.T) {
	inEveryWorld(t, func(t *testing.T, f factory) {
		c := f.counter(counterOpts)
		g := f.gauge(gaugeOpts)
		check := func(what string, m prometheus.Collector, want float64) {
			t.Helper()
			if got := testutil.ToFloat64(m); got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
				t.Errorf("%s: got %v, want %v", what, got, want)
			}
		}
		check("new counter", c, 0)
		c.Inc()
		c.Add(0)
		c.Add(2)
		c.Add(0.25)
		check("counter", c, 3.25)
		c.Add(1 << 60)
		check("counter, a large whole", c, 1<<60+3.25)
		check("new gauge", g, 0)
		g.Inc()
		g.Add(2.5)
		g.Sub(1)
		g.Dec()
		check("gauge", g, 1.5)
		for _, v := range []float64{0, -3, math.Inf(+1), math.Inf(-1), math.NaN(), math.MaxFloat64, math.SmallestNonzeroFloat64} {
			g.Set(v)
			check(fmt.Sprint("gauge set to ", v), g, v)
		}
		before := float64(time.Now().UnixNano()) / 1e9
		g.SetToCurrentTime()
		if got := testutil.ToFloat64(g); got < before || got > before+60 {
			t.Errorf("current time: got %v, want a little more than %v", got, before)
		}
		c.Add(math.Inf(+1))
		check("counter, infinite", c, math.Inf(+1))
		c.Add(math.NaN())
		check("counter, NaN", c, math.NaN())
	})
}

func TestRulesHandlers(t *testing.T) {
	inEveryWorld(t, func(t *testing.T, f factory) {
		counter := f.counterVec(prometheus.CounterOpts{Name: "requests_total", Help: "h"}, []string{"code", "method"})
		duration := f.histogramVec(prometheus.HistogramOpts{Name: "duration_seconds", Help: "h"}, []string{"code"})
		size := f.summaryVec(prometheus.SummaryOpts{Name: "size_bytes", Help: "h"}, nil)
		inFlight := f.gauge(prometheus.GaugeOpts{Name: "in_flight", Help: "h"})
		// Users who have tracing on get exemplars from the same middleware.
		exemplar := promhttp.WithExemplarFromContext(func(context.Context) prometheus.Labels { return prometheus.Labels{"trace": "1"} })
		var during float64
		handler := promhttp.InstrumentHandlerInFlight(inFlight,
			promhttp.InstrumentHandlerCounter(counter,
				promhttp.InstrumentHandlerDuration(duration,
					promhttp.InstrumentHandlerResponseSize(size,
						http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
							during = testutil.ToFloat64(inFlight)
							w.WriteHeader(http.StatusTeapot)
						})), exemplar), exemplar))
		for range 3 {
			handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPut, "/", nil))
		}
		if got, want := testutil.ToFloat64(counter.WithLabelValues("418", "put")), 3.0; got != want {
			t.Errorf("requests: got %v, want %v", got, want)
		}
		if got, want := during, 1.0; got != want {
			t.Errorf("in flight during a request: got %v, want %v", got, want)
		}
		if got, want := testutil.ToFloat64(inFlight), 0.0; got != want {
			t.Errorf("in flight: got %v, want %v", got, want)
		}
		counts := map[string]uint64{}
		for _, family := range f.gather(t) {
			m := family.Metric[0]
			counts[family.GetName()] = m.Histogram.GetSampleCount() + m.Summary.GetSampleCount()
		}
		for _, name := range []string{"duration_seconds", "size_bytes"} {
			if got, want := counts[name], uint64(3); got != want {
				t.Errorf("%s: got %d observations, want %d", name, got, want)
			}
		}
	})
}

func TestRulesTimer(t *testing.T) {
	inEveryWorld(t, func(t *testing.T, f factory) {
		h, g := f.histogram(histogramOpts), f.gauge(gaugeOpts)
		d := prometheus.NewTimer(h).ObserveDuration()
		if d < 0 {
			t.Errorf("duration %v", d)
		}
		prometheus.NewTimer(prometheus.ObserverFunc(g.Set)).ObserveDuration()
		if got := testutil.ToFloat64(g); got <= 0 {
			t.Errorf("gauge set by a timer: got %v, want more than 0", got)
		}
		for _, family := range f.gather(t) {
			if family.GetName() == "h" && family.Metric[0].Histogram.GetSampleCount() != 1 {
				t.Errorf("observations by a timer: got %v, want 1", family)
			}
		}
	})
}

func TestRulesLint(t *testing.T) {
	inEveryWorld(t, func(t *testing.T, f factory) {
		good := f.counterVec(prometheus.CounterOpts{Name: "good_total", Help: "h"}, []string{"a"})
		good.WithLabelValues("x").Inc()
		bad := f.counterVec(prometheus.CounterOpts{Name: "badName", Help: "h"}, []string{"a"})
		bad.WithLabelValues("x").Inc()
		for _, c := range []struct {
			vec  *prometheus.CounterVec
			want int
		}{{good, 0}, {bad, 2}} {
			problems, err := testutil.CollectAndLint(c.vec)
			if err != nil {
				t.Fatal(err)
			}
			if len(problems) != c.want {
				t.Errorf("problems: got %v, want %d", problems, c.want)
			}
		}
	})
}

// story makes one metric of every kind and counts. Everything in it is written
// the same by every world.
func story(f factory) {
	labels := prometheus.Labels{"zone": "z", "app": "a"}
	c := f.counterVec(prometheus.CounterOpts{Namespace: "ns", Subsystem: "ss", Name: "c_total", Help: "c \\ \n help", ConstLabels: labels}, []string{"b", "a"})
	c.WithLabelValues("2", "1").Add(2.5)
	c.WithLabelValues("1", "2").Inc()
	c.WithLabelValues("", "ü\"\\\n").Inc()
	f.counterVec(prometheus.CounterOpts{Name: "empty_total", Help: "h"}, []string{"a"})
	f.counter(prometheus.CounterOpts{Name: "plain_total"}).Inc()
	f.counter(prometheus.CounterOpts{Name: "zero_total", Help: "h"})
	f.counter(prometheus.CounterOpts{Name: "energy_joules_total", Help: "h", Unit: "joules"}).Add(0.5)
	f.counter(prometheus.CounterOpts{Name: "ünï.code", Help: "h"}).Inc()
	f.gauge(prometheus.GaugeOpts{Name: "g", Help: "h", ConstLabels: labels}).Set(-4)
	f.gaugeVec(prometheus.GaugeOpts{Name: "gv", Help: "h"}, []string{"a"}).WithLabelValues("x").Dec()
	f.summary(prometheus.SummaryOpts{Name: "s", Help: "h"}).Observe(0.25)
	f.summaryVec(prometheus.SummaryOpts{Name: "sv", Help: "h"}, []string{"a"}).WithLabelValues("x").Observe(-1)
	f.histogram(prometheus.HistogramOpts{Name: "default_buckets_seconds", Help: "h"}).Observe(0.3)
	f.histogram(prometheus.HistogramOpts{Name: "inf", Help: "h", Buckets: []float64{1, math.Inf(+1)}}).Observe(5)
	f.histogram(prometheus.HistogramOpts{Name: "only_inf", Help: "h", Buckets: []float64{math.Inf(+1)}}).Observe(5)
	native := f.histogramVec(prometheus.HistogramOpts{
		Name: "native", Help: "h", NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 20, Buckets: []float64{1, 2}, ConstLabels: labels,
	}, []string{"a"})
	for i := range 50 {
		native.WithLabelValues("x").Observe(float64(i*i) - 20)
	}
	f.histogram(prometheus.HistogramOpts{Name: "native_unset", Help: "h", NativeHistogramBucketFactor: 1.1})
	hv := f.histogramVec(prometheus.HistogramOpts{Name: "hv", Help: "h", Buckets: prometheus.LinearBuckets(-5, 0.5, 60), ConstLabels: labels}, []string{"a"})
	for i, v := range []float64{-10, -5, 0, 0.25, 24.5, 24.6, math.Nextafter(1, 2), 1, math.Copysign(0, -1)} {
		hv.WithLabelValues(string("xy"[i%2])).Observe(v)
	}
}

// What a store writes is what client_golang writes, but for the time at which a
// series was made.
func TestRulesWritten(t *testing.T) {
	var want []*dto.MetricFamily
	inEveryWorld(t, func(t *testing.T, f factory) {
		story(f)
		got := f.gather(t)
		for _, family := range got {
			for _, m := range family.Metric {
				if m.Gauge == nil && m.Counter.GetCreatedTimestamp() == nil && m.Histogram.GetCreatedTimestamp() == nil && m.Summary.GetCreatedTimestamp() == nil {
					t.Errorf("%s: no start timestamp", family.GetName())
				}
			}
		}
		if want == nil {
			want = got
		}
		diff(t, want, got)
	})
}

// What is not a number is counted as client_golang does.
func TestRulesNotFinite(t *testing.T) {
	var want []*dto.MetricFamily
	inEveryWorld(t, func(t *testing.T, f factory) {
		for i, v := range []float64{math.NaN(), math.Inf(+1), math.Inf(-1)} {
			h := f.histogram(prometheus.HistogramOpts{Name: fmt.Sprint("h", i), Help: "h", Buckets: []float64{1, 2, 4}})
			many := f.histogram(prometheus.HistogramOpts{Name: fmt.Sprint("m", i), Help: "h", Buckets: prometheus.LinearBuckets(0, 1, 100)})
			s := f.summary(prometheus.SummaryOpts{Name: fmt.Sprint("s", i), Help: "h"})
			for _, o := range []prometheus.Observer{h, many, s} {
				o.Observe(1)
				o.Observe(v)
			}
		}
		got := f.gather(t)
		if want == nil {
			want = got
		}
		diff(t, want, got)
	})
}

func diff(t *testing.T, want, got []*dto.MetricFamily) {
	t.Helper()
	ignored := []cmp.Option{protocmp.Transform(), cmpopts.EquateNaNs()}
	for _, m := range []proto.Message{&dto.Counter{}, &dto.Histogram{}, &dto.Summary{}} {
		ignored = append(ignored, protocmp.IgnoreFields(m, "created_timestamp"))
	}
	if diff := cmp.Diff(want, got, ignored...); diff != "" {
		t.Errorf("families (-client_golang +ours):\n%s", diff)
	}
}

// A collector that a registry refuses because the store has it already.
func TestRulesAlreadyRegistered(t *testing.T) {
	s := open(t, store.Opts{Location: "memory:"})
	vec := s.NewCounterVec(counterOpts, []string{"a"})
	r := prometheus.NewRegistry()
	r.MustRegister(s)
	if err := r.Register(vec); err == nil {
		t.Error("no error for a vec beside its store: it would be exposed twice")
	}
}
