package publisher_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/mirror"
	"github.com/mpmetrics/mpmetrics/internal/publisher"
	"github.com/mpmetrics/mpmetrics/internal/remote"
	"github.com/mpmetrics/mpmetrics/internal/testing/memoryserver"
)

// The families of the model: all kinds of values.
var (
	counter   = &layout.Family{Type: layout.Counter, Name: "c_total", Help: "h", LabelNames: []string{"l"}}
	histogram = &layout.Family{Type: layout.Histogram, Name: "h", Help: "h", Bounds: []float64{1, 2}}
	summary   = &layout.Family{Type: layout.Summary, Name: "y", Help: "h"}
	sum       = &layout.Family{Type: layout.Gauge, Mode: layout.Sum, Name: "sum", Help: "h"}
	liveSum   = &layout.Family{Type: layout.Gauge, Mode: layout.LiveSum, Name: "livesum", Help: "h"}
	smallest  = &layout.Family{Type: layout.Gauge, Mode: layout.Min, Name: "min", Help: "h"}
	largest   = &layout.Family{Type: layout.Gauge, Mode: layout.Max, Name: "max", Help: "h"}
	each      = &layout.Family{Type: layout.Gauge, Mode: layout.All, Name: "all", Help: "h"}
	recent    = &layout.Family{Type: layout.Gauge, Mode: layout.MostRecent, Name: "recent", Help: "h"}
)

// values are what a process has counted: by family, and label of the series.
type values map[string][]uint64

func (v values) clone() values {
	c := values{}
	for name, words := range v {
		c[name] = append([]uint64(nil), words...)
	}
	return c
}

// process is one of the model: its publisher, and what is true.
type process struct {
	*publisher.Publisher
	name     string
	client   *memoryserver.Client
	values   values
	sure     values // of the last flush that was answered
	tried    values // of the last flush
	series   map[string]*publisher.Series
	native   prometheus.Histogram
	mirrored float64
	created  int64
	dead     bool
	late     time.Time // it does not flush until then
}

const modelLife = 2 * time.Second

func newModelProcess(w *world, name string) *process {
	p := &process{
		name: name, values: values{}, sure: values{}, tried: values{}, series: map[string]*publisher.Series{}, created: w.created(),
		native: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "n", Help: "h", NativeHistogramBucketFactor: 2}),
	}
	p.client = &memoryserver.Client{Server: w.server, Fate: w.fate}
	p.Publisher = publisher.NewPublisher(p.client, layout.Header{PID: 7, ID: layout.NewID(), PageSize: layout.PageSize, Process: name}, modelLife)
	p.SetNow(w.now)
	for _, f := range []*layout.Family{counter, histogram, summary, sum, liveSum, smallest, largest, each, recent} {
		p.add(w, f, "")
	}
	return p
}

// add makes a series. A counter has its label in addition.
func (p *process) add(w *world, f *layout.Family, label string) {
	name := f.Name + label
	words := make([]uint64, f.ValueWords())
	p.values[name] = words
	var labels []string
	if len(f.LabelNames) > 0 {
		labels = []string{label}
	}
	created := w.created()
	s := publisher.NewSeries(f, labels, func() int64 { return created }, func(out []uint64) { copy(out, words) })
	p.Add(s, p.series[name])
	p.series[name] = s
}

// remove deletes a series.
func (p *process) remove(name string) {
	p.Remove(p.series[name])
	delete(p.series, name)
	delete(p.values, name)
}

// count does what an application does.
func (p *process) count(w *world) {
	r := w.rand
	addFloat := func(word *uint64, v float64) { *word = math.Float64bits(math.Float64frombits(*word) + v) }
	for range 1 + r.IntN(3) {
		switch r.IntN(9) {
		case 0:
			p.values["c_total"][0] += uint64(r.IntN(1000))
		case 1:
			addFloat(&p.values["c_total"][1], 0.1*r.Float64())
		case 2:
			bucket := r.IntN(3)
			h := p.values["h"]
			h[0]++
			h[2+bucket]++
			addFloat(&h[1], float64(bucket)+0.7)
		case 3:
			p.values["y"][0]++
			addFloat(&p.values["y"][1], r.NormFloat64())
		case 4:
			for _, mode := range []string{"sum", "livesum", "min", "max", "all"} {
				p.values[mode][0] = layout.EncodeGauge(r.NormFloat64())
			}
		case 5:
			p.values["recent"][0]++
			p.values["recent"][1], p.values["recent"][2] = math.Float64bits(r.Float64()), uint64(w.created())
		case 6:
			p.mirrored += float64(r.IntN(100))
			p.native.Observe(math.Exp(r.NormFloat64()))
			p.mirror(w)
		case 7:
			if p.series["c_total/gone"] != nil {
				p.remove("c_total/gone")
				break
			}
			fallthrough
		case 8:
			p.add(w, counter, "/gone")
			p.values["c_total/gone"][0] = uint64(1 + r.IntN(5))
		}
	}
}

// mirror publishes the families of others.
func (p *process) mirror(w *world) {
	m := &dto.Metric{}
	_ = p.native.Write(m) // never fails
	m.Histogram.CreatedTimestamp = stamp(p.created)
	named := map[string]string{}
	for _, f := range []*dto.MetricFamily{
		{Name: new("m_total"), Help: new("h"), Type: dto.MetricType_COUNTER.Enum(), Metric: []*dto.Metric{{Counter: &dto.Counter{Value: new(p.mirrored), CreatedTimestamp: stamp(p.created)}}}},
		{Name: new("n"), Help: new("h"), Type: dto.MetricType_HISTOGRAM.Enum(), Metric: []*dto.Metric{m}},
	} {
		encoded, err := mirror.Encode(f, 0)
		if err != nil {
			w.t.Fatal(err)
		}
		named[remote.MirrorField+f.GetName()] = string(encoded)
	}
	p.Set(named)
	p.values["m_total"] = []uint64{uint64(p.mirrored), 0}
	p.values["n"] = []uint64{m.Histogram.GetSampleCount(), math.Float64bits(m.Histogram.GetSampleSum())}
}

// flush flushes, and notes what the server may have and has for sure.
func (p *process) flush(end bool) bool {
	p.tried = p.values.clone()
	do := p.Flush
	if end {
		do = p.End
	}
	if do(context.Background()) != nil {
		return false
	}
	p.sure = p.tried.clone()
	return true
}

func (p *process) String() string { return fmt.Sprintf("%s %v", p.name, p.values) }

// world is one run of the model.
type world struct {
	t interface {
		Fatal(args ...any)
		Fatalf(format string, args ...any)
		Logf(format string, args ...any)
		Helper()
	}
	rand   *rand.Rand
	server *memoryserver.Server
	faulty bool
	clock  int64
}

// fate is that of one call: one in five goes wrong while the network is faulty.
func (w *world) fate() memoryserver.Fate {
	if !w.faulty || w.rand.IntN(5) > 0 {
		return memoryserver.Answered
	}
	return memoryserver.Fate(w.rand.IntN(memoryserver.Fates))
}

// created is another time at each call.
func (w *world) created() int64 {
	w.clock++
	return w.now().UnixNano() + w.clock
}

func (w *world) now() (now time.Time) {
	w.server.Do(func(s *memoryserver.State) { now = s.Now })
	return now
}
