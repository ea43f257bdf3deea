package store_test

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/mpmetrics/mpmetrics/collector"
)

// A registry that one process mirrors is exposed as it is without, byte for byte,
// in every format. Two hundred of them, made at random.
func TestMirroredEqualsDirect(t *testing.T) {
	const registries = 200
	dir := inMemory(t)
	seed := rand.Uint64()
	for n := range registries {
		r := rand.New(rand.NewPCG(seed, uint64(n)))
		s := quiet(t, fmt.Sprint(dir, "/", n))
		direct := prometheus.NewRegistry()
		for i := range 1 + r.IntN(8) {
			c := randomCollector(r, i)
			direct.MustRegister(c)
			s.Registerer().MustRegister(c)
		}
		_ = s.Flush(context.Background())
		c := collector.New(collector.Opts{Location: s.Location(), NoAbsorption: true, Logger: silent})
		want, err := direct.Gather()
		if err != nil {
			t.Fatal(err)
		}
		got, err := registry(c).Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, format := range []expfmt.Format{
			expfmt.NewFormat(expfmt.TypeTextPlain), expfmt.NewFormat(expfmt.TypeOpenMetrics), expfmt.NewFormat(expfmt.TypeProtoText), expfmt.NewFormat(expfmt.TypeProtoDelim),
			expfmt.NewFormat(expfmt.TypeTextPlain).WithEscapingScheme(model.NoEscaping),
		} {
			if diff := cmp.Diff(exposition(t, want, format), exposition(t, got, format)); diff != "" {
				t.Fatalf("seed %d, registry %d, %s (-direct +mirrored):\n%s", seed, n, format, diff)
			}
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func exposition(t *testing.T, families []*dto.MetricFamily, format expfmt.Format) string {
	t.Helper()
	var b bytes.Buffer
	e := expfmt.NewEncoder(&b, format)
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "mpmetrics_") {
			continue
		}
		if err := e.Encode(f); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// randomCollector is a vec of any type, or a single metric, with random options and
// values.
func randomCollector(r *rand.Rand, n int) prometheus.Collector {
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	name := fmt.Sprintf("%s%d", pick("plain_", "größe.", "with:colon_", "last_timestamp_seconds_", "fill_"), n)
	if r.IntN(4) == 0 {
		name += pick("_ratio", "_info", "_timestamp_seconds")
	}
	help, unit := pick("", "Help.", "Zwei\nZeilen \\ \"Zeichen\""), ""
	if r.IntN(4) == 0 {
		unit = pick("bytes", "seconds")
		name += "_" + unit
	}
	constant := prometheus.Labels{}
	for range r.IntN(3) {
		constant[pick("k1", "k2", "wärme")] = pick("", "v", "a\"b\\c\n")
	}
	labels := []string{"b", "a", "ü.x"}[:r.IntN(4)]
	number := func() float64 {
		switch r.IntN(8) {
		case 0:
			return math.NaN()
		case 1:
			return math.Inf(1 - 2*r.IntN(2))
		case 2:
			return 0
		case 3:
			return float64(r.Int64N(1 << 40))
		}
		return math.Ldexp(r.Float64()-0.5, r.IntN(80)-40)
	}
	values := func() []string {
		v := make([]string, len(labels))
		for i := range v {
			v[i] = pick("", "x", "y\"\\\n", "日本")
		}
		return v
	}
	series := 1 + r.IntN(5)
	switch r.IntN(5) {
	case 0:
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name + "_total", Help: help, Unit: unit, ConstLabels: constant}, labels)
		for range series {
			c := v.WithLabelValues(values()...)
			c.Add(math.Abs(number()))
			if r.IntN(2) == 0 {
				c.(prometheus.ExemplarAdder).AddWithExemplar(1, prometheus.Labels{"trace_id": pick("1", "a\"b", "")})
			}
		}
		return v
	case 1:
		v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help, Unit: unit, ConstLabels: constant}, labels)
		for range series {
			v.WithLabelValues(values()...).Set(number())
		}
		return v
	case 2:
		o := prometheus.HistogramOpts{Name: name, Help: help, Unit: unit, ConstLabels: constant}
		if r.IntN(2) == 0 {
			o.NativeHistogramBucketFactor = math.Pow(2, math.Ldexp(1, r.IntN(13)-8))
			o.NativeHistogramMaxBucketNumber = uint32(r.IntN(3) * 5)
			o.NativeHistogramMaxZeroThreshold = float64(r.IntN(2))
			o.NativeHistogramZeroThreshold = []float64{0, 1e-3, prometheus.NativeHistogramZeroThresholdZero}[r.IntN(3)]
			o.NativeHistogramMaxExemplars = []int{0, -1, 3, 20}[r.IntN(4)]
		}
		if r.IntN(2) == 0 {
			o.Buckets = prometheus.LinearBuckets(finite(number()), 1, 1+r.IntN(20))
		}
		v := prometheus.NewHistogramVec(o, labels)
		for range series {
			h := v.WithLabelValues(values()...)
			for range r.IntN(20) {
				h.Observe(number())
			}
			for range r.IntN(2) * r.IntN(25) {
				h.(prometheus.ExemplarObserver).ObserveWithExemplar(float64(r.IntN(30)), prometheus.Labels{"trace_id": "2"})
			}
		}
		return v
	case 3:
		v := prometheus.NewSummaryVec(prometheus.SummaryOpts{Name: name, Help: help, Unit: unit, ConstLabels: constant}, labels)
		for range series {
			s := v.WithLabelValues(values()...)
			for range r.IntN(5) {
				s.Observe(number())
			}
		}
		return v
	}
	v := number()
	return prometheus.NewUntypedFunc(prometheus.UntypedOpts{Name: name, Help: help, Unit: unit, ConstLabels: constant}, func() float64 { return v })
}

// finite is a number that bucket bounds may begin with.
func finite(v float64) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) || math.Abs(v) > 1<<20 {
		return 0
	}
	return v
}
