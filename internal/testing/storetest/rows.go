package storetest

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/mpmetrics/mpmetrics/store"
)

// Names of rows with children: the children get the names.
const (
	killed       = "nothing that returned is lost at SIGKILL"
	killedLater  = "nothing that was flushed is lost at SIGKILL"
	killedSeries = "no series whose constructor returned is lost at SIGKILL"
	left         = "live gauges leave with a killed process"
)

var labels = []string{"l"}

func counterOpts(name string) prometheus.CounterOpts {
	return prometheus.CounterOpts{Name: name, Help: "h"}
}

func gaugeOpts(name string) prometheus.GaugeOpts { return prometheus.GaugeOpts{Name: name, Help: "h"} }

var rows = []row{
	{name: "counters are exact", test: countersAreExact},
	{name: "counts are shown at once", test: atOnce},
	{name: "histograms and summaries are of one instant", test: oneInstant},
	{name: "gauges never set read zero", test: neverSet},
	{name: "exemplars are shown", test: exemplars},
	{name: "a deleted series leaves, and goes on when made again", test: deleted},
	{name: "an unregistered counter goes on when made again, and a gauge is new", test: unregistered},
	{name: "native histograms are shown", test: natives},
	{name: "the Registerer's collectors are shown", test: registered},
	{name: "updates after Close go nowhere", test: afterClose},
	{name: "processes are merged", test: merged},
	{name: "gauges have modes", test: modes},
	{name: "totals go on after a process", test: goOn},
	{name: "the oldest start timestamp is shown", test: oldest},
	{name: "two types of one name do no harm", test: conflict},
	{name: killed, test: losesNothing, child: countOn},
	{name: killedSeries, test: losesNoSeries, child: makeSeries},
	{name: killedLater, test: losesLittle, child: countAndFlush},
	{name: left, test: liveLeaves, child: setAndWait},
}

// countersAreExact counts whole numbers up to 2^53 and beyond, and fractions, summed as float64
// sums them, from many goroutines.
func countersAreExact(t *trial) {
	s := t.open()
	v := s.NewCounterVec(counterOpts("c_total"), labels)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 1000 {
				v.WithLabelValues("inc").Inc()
				v.WithLabelValues("half").Add(0.5)
			}
		})
	}
	all.Wait()
	v.WithLabelValues("large").Add(1 << 53)
	v.WithLabelValues("large").Add(1 << 53)
	v.WithLabelValues("zero")
	g := t.scraper()
	t.shows("counted", g, map[string]float64{"c_total/inc": 8000, "c_total/half": 4000, "c_total/large": 1 << 54, "c_total/zero": 0})
}

// atOnce: without a flush.
func atOnce(t *trial) {
	s := t.open()
	c := s.NewCounterVec(counterOpts("c_total"), labels)
	h := s.NewHistogram(prometheus.HistogramOpts{Name: "h", Help: "h"})
	g := t.scraper()
	for n := range 20 {
		c.WithLabelValues("x").Inc()
		h.Observe(1)
		c.WithLabelValues(strconv.Itoa(n)).Inc()
		m := t.scraped(g)
		for name, want := range map[string]float64{"c_total/x": float64(n + 1), "h": float64(n + 1), "c_total/" + strconv.Itoa(n): 1} {
			if v, _ := value(m[name]); v != want {
				t.Fatalf("%s is %v, want %v", name, v, want)
			}
		}
	}
}

// oneInstant: while many goroutines observe the value one, count, sum and buckets agree in every
// scrape.
func oneInstant(t *trial) {
	s := t.open()
	h := s.NewHistogram(prometheus.HistogramOpts{Name: "h", Help: "h", Buckets: []float64{0.5, 1, 2}})
	y := s.NewSummary(prometheus.SummaryOpts{Name: "y", Help: "h"})
	stop := make(chan struct{})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					h.Observe(1)
					y.Observe(1)
				}
			}
		})
	}
	g := t.scraper()
	last := uint64(0)
	for range 200 {
		m := t.metrics(g)
		got, sum := m["h"].GetHistogram(), m["y"].GetSummary()
		n := got.GetSampleCount()
		if float64(n) != got.GetSampleSum() || got.Bucket[1].GetCumulativeCount() != n || got.Bucket[0].GetCumulativeCount() != 0 || n < last {
			t.Fatalf("histogram %v, %d before", got, last)
		}
		if float64(sum.GetSampleCount()) != sum.GetSampleSum() {
			t.Fatalf("summary %v", sum)
		}
		last = n
	}
	close(stop)
	all.Wait()
}

func neverSet(t *trial) {
	s := t.open()
	s.NewGauge(gaugeOpts("min"), store.Min)
	s.NewGauge(gaugeOpts("zero"), store.Min).Set(0)
	s.NewGauge(gaugeOpts("nan"), store.Max).Set(math.NaN())
	g := t.scraper()
	t.shows("set and not set", g, map[string]float64{"min": 0, "zero": 0})
	if v, there := value(t.metrics(g)["nan"]); !there || !math.IsNaN(v) {
		t.Errorf("NaN reads %v", v)
	}
}

func exemplars(t *trial) {
	s := t.open()
	c := s.NewCounter(counterOpts("c_total"))
	h := s.NewHistogram(prometheus.HistogramOpts{Name: "h", Help: "h", Buckets: []float64{1, 2}})
	c.(prometheus.ExemplarAdder).AddWithExemplar(2, prometheus.Labels{"trace": "a"})
	h.(prometheus.ExemplarObserver).ObserveWithExemplar(1.5, prometheus.Labels{"trace": "b"})
	_ = s.Flush(context.Background())
	m := t.metrics(t.scraper())
	if e := m["c_total"].GetCounter().GetExemplar(); e.GetValue() != 2 || e.Label[0].GetValue() != "a" {
		t.Errorf("of the counter: %v", e)
	}
	if e := m["h"].GetHistogram().GetBucket()[1].GetExemplar(); e.GetValue() != 1.5 || e.Label[0].GetValue() != "b" {
		t.Errorf("of the bucket: %v", e)
	}
}

func deleted(t *trial) {
	s := t.open()
	v := s.NewCounterVec(counterOpts("c_total"), labels)
	held := v.WithLabelValues("x")
	held.Add(5)
	v.WithLabelValues("y").Add(7)
	g := t.scraper()
	t.shows("before", g, map[string]float64{"c_total/x": 5, "c_total/y": 7})
	before := t.metrics(g)["c_total/x"].Counter.CreatedTimestamp.AsTime()
	v.DeleteLabelValues("x")
	v.WithLabelValues("x").Add(2)
	held.Inc() // without effect on shown values
	t.shows("made again, at once", g, map[string]float64{"c_total/x": 7, "c_total/y": 7})
	if after := t.metrics(g)["c_total/x"].Counter.CreatedTimestamp.AsTime(); !after.Equal(before) {
		t.Errorf("start timestamp %v, %v before", after, before)
	}
	other := t.open()
	w := other.NewCounterVec(counterOpts("c_total"), labels)
	w.WithLabelValues("x").Add(1)
	v.Reset()
	t.comesTo("all deleted, another process has one", g, map[string]float64{"c_total/x": 8, "c_total/y": absent})
	held.Inc()
	w.Reset()
	t.comesTo("all deleted", g, map[string]float64{"c_total/x": absent, "c_total/y": absent})
	v.WithLabelValues("x").Add(1)
	t.comesTo("made again", g, map[string]float64{"c_total/x": 9, "c_total/y": absent})
}

func unregistered(t *trial) {
	s := t.open()
	g := t.scraper()
	make := func() (*prometheus.CounterVec, *prometheus.GaugeVec) {
		return s.NewCounterVec(counterOpts("c_total"), labels), s.NewGaugeVec(gaugeOpts("g"), labels)
	}
	counters, gauges := make()
	held := counters.WithLabelValues("x")
	held.Add(5)
	gauges.WithLabelValues("x").Set(5)
	t.shows("before", g, map[string]float64{"c_total/x": 5, "g/x": 5})
	began := t.metrics(g)["c_total/x"].Counter.CreatedTimestamp.AsTime()
	if r := s.Registerer(); !r.Unregister(counters) || !r.Unregister(gauges) {
		t.Fatal("own instruments are not known")
	}
	held.Add(100)
	t.comesTo("unregistered", g, map[string]float64{"c_total/x": 5, "g/x": absent})
	counters, gauges = make()
	counters.WithLabelValues("x").Add(2)
	gauges.WithLabelValues("y").Set(1)
	held.Add(100)
	t.comesTo("made again", g, map[string]float64{"c_total/x": 7, "g/x": absent, "g/y": 1})
	if again := t.metrics(g)["c_total/x"].Counter.CreatedTimestamp.AsTime(); !again.Equal(began) {
		t.Errorf("start timestamp %v, %v before", again, began)
	}
}

func natives(t *trial) {
	s := t.open()
	v := s.NewHistogramVec(prometheus.HistogramOpts{Name: "n", Help: "h", NativeHistogramBucketFactor: 2}, labels)
	for range 10 {
		v.WithLabelValues("x").Observe(3)
	}
	v.WithLabelValues("x").Observe(0)
	_ = s.Flush(context.Background())
	h := t.metrics(t.scraper())["n/x"].GetHistogram()
	if h.GetSampleCount() != 11 || h.GetSampleSum() != 30 || h.GetZeroCount() != 1 || len(h.PositiveDelta) != 1 || h.PositiveDelta[0] != 10 {
		t.Errorf("%v", h)
	}
}

// registered: a foreign collector's metrics are shown as registered.
func registered(t *trial) {
	s := t.open()
	auto := promauto.With(s.Registerer())
	auto.NewCounter(counterOpts("storetest_c_total")).Add(3)
	auto.NewGaugeFunc(gaugeOpts("storetest_g"), func() float64 { return 4 })
	t.comesTo("a flush later", t.scraper(), map[string]float64{"storetest_c_total": 3, "storetest_g": 4})
}

func afterClose(t *trial) {
	s := t.open()
	c, g := s.NewCounter(counterOpts("c_total")), s.NewGauge(gaugeOpts("g"), store.Max)
	h := s.NewHistogram(prometheus.HistogramOpts{Name: "h", Help: "h"})
	c.Inc()
	g.Set(1)
	h.Observe(1)
	t.close(s)
	scrape := t.scraper()
	c.Inc()
	g.Set(2)
	h.Observe(1)
	t.shows("after Close", scrape, map[string]float64{"c_total": 1, "g": 1, "h": 1})
}

func merged(t *trial) {
	for n := range 3 {
		s := t.open()
		s.NewCounterVec(counterOpts("c_total"), labels).WithLabelValues("x").Add(float64(n + 1))
		s.NewHistogram(prometheus.HistogramOpts{Name: "h", Help: "h"}).Observe(1)
		s.NewSummary(prometheus.SummaryOpts{Name: "y", Help: "h"}).Observe(1)
	}
	t.shows("three", t.scraper(), map[string]float64{"c_total/x": 6, "h": 3, "y": 3})
}

func modes(t *trial) {
	var first *store.Store
	for n, v := range []float64{5, 3} {
		s := t.open()
		for name, mode := range map[string]store.MergeMode{
			"sum": store.Sum, "livesum": store.LiveSum, "min": store.Min, "max": store.Max, "livemax": store.LiveMax, "livemean": store.LiveMean,
			"recent": store.MostRecent,
		} {
			s.NewGauge(gaugeOpts(name), mode).Set(v)
		}
		if n == 0 {
			first = s
		}
	}
	g := t.scraper()
	t.shows("both live", g, map[string]float64{"sum": 8, "livesum": 8, "min": 3, "max": 5, "livemax": 5, "livemean": 4, "recent": 3})
	t.close(first)
	want := map[string]float64{"sum": 8, "livesum": 3, "min": 3, "max": 5, "livemax": 3, "livemean": 3, "recent": 3}
	t.comesTo("one has ended", g, want)
	t.shows("and was absorbed, perhaps", g, want)
}

func goOn(t *trial) {
	g := t.scraper()
	for n := 1; n <= 20; n++ {
		s := t.open()
		s.NewCounter(counterOpts("c_total")).Inc()
		t.close(s)
		t.shows(fmt.Sprint("after process ", n), g, map[string]float64{"c_total": float64(n)})
	}
}

func oldest(t *trial) {
	begin := time.Now()
	t.open().NewCounter(counterOpts("c_total"))
	between := time.Now()
	t.open().NewCounter(counterOpts("c_total"))
	at := t.metrics(t.scraper())["c_total"].Counter.CreatedTimestamp.AsTime()
	if at.Before(begin) || at.After(between) {
		t.Errorf("start timestamp %v, want one between %v and %v", at, begin, between)
	}
}

// conflict: the newest definition wins, and no other family is harmed.
func conflict(t *trial) {
	old, young := t.open(), t.open()
	old.NewGauge(gaugeOpts("x")).Set(9)
	old.NewCounter(counterOpts("fine_total")).Inc()
	young.NewCounter(counterOpts("x")).Add(2)
	young.NewCounter(counterOpts("fine_total")).Inc()
	t.shows("both", t.scraper(), map[string]float64{"x": 2, "fine_total": 2, "mpmetrics_conflicts_total/type": 1})
}

// countOn counts, and says so afterwards.
func countOn(s *store.Store) { count(s, func() {}) }

// count counts, does something, and says so afterwards.
func count(s *store.Store, then func()) {
	c := s.NewCounter(counterOpts("c_total"))
	h := s.NewHistogram(prometheus.HistogramOpts{Name: "h", Help: "h", Buckets: []float64{1}})
	for n := 1; ; n++ {
		c.Inc()
		h.Observe(1)
		then()
		fmt.Println(n)
	}
}

func losesNothing(t *trial) {
	said := 0
	for range 5 {
		c := t.start(killed)
		for range 50 {
			c.Line()
		}
		said += 50 + c.kill()
	}
	m := t.metrics(t.scraper())
	count, _ := value(m["c_total"])
	h := m["h"].GetHistogram()
	// Each child may have counted once more without a line.
	if count < float64(said) || count > float64(said+5) {
		t.Errorf("%v counted, %d said", count, said)
	}
	if n := h.GetSampleCount(); n < uint64(said) || n > uint64(said+5) || float64(n) != h.GetSampleSum() || n != h.Bucket[0].GetCumulativeCount() {
		t.Errorf("histogram %v, %d said", h, said)
	}
}

// makeSeries makes series in a loop, and prints a line after each.
func makeSeries(s *store.Store) {
	v := s.NewCounterVec(counterOpts("c_total"), labels)
	for n := 0; ; n++ {
		v.WithLabelValues(strconv.Itoa(n))
		fmt.Println(n)
		time.Sleep(100 * time.Microsecond) // see package store about bursts
	}
}

func losesNoSeries(t *trial) {
	c := t.start(killedSeries)
	for range 100 {
		c.Line()
	}
	said := 100 + c.kill()
	m := t.metrics(t.scraper())
	for n := range said {
		if _, there := value(m["c_total/"+strconv.Itoa(n)]); !there {
			t.Fatalf("series %d of %d is lost", n, said)
		}
	}
}

// countAndFlush counts, flushes, and says so afterwards.
func countAndFlush(s *store.Store) { count(s, func() { _ = s.Flush(context.Background()) }) }

func losesLittle(t *trial) {
	said := 0
	for range 3 {
		c := t.start(killedLater)
		for range 50 {
			c.Line()
		}
		said += 50 + c.kill()
	}
	m := t.metrics(t.scraper())
	for _, name := range []string{"c_total", "h"} {
		// Each child may have flushed once more without a line.
		if n, _ := value(m[name]); n < float64(said) || n > float64(said+3) {
			t.Errorf("%s is %v, %d flushed", name, n, said)
		}
	}
}

func setAndWait(s *store.Store) {
	s.NewGauge(gaugeOpts("live"), store.LiveSum).Set(3)
	s.NewGauge(gaugeOpts("lasting"), store.Sum).Set(4)
	s.NewCounter(counterOpts("c_total")).Add(5)
	_ = s.Flush(context.Background())
	fmt.Println("set")
	select {}
}

func liveLeaves(t *trial) {
	c := t.start(left)
	c.Line()
	g := t.scraper()
	t.shows("alive", g, map[string]float64{"live": 3, "lasting": 4, "c_total": 5})
	c.kill()
	t.comesTo("killed", g, map[string]float64{"live": absent, "lasting": 4, "c_total": 5})
}
