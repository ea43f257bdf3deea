//go:build unix

package prometheus_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	client "github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/testing/effort"
	"github.com/mpmetrics/mpmetrics/store"
)

const (
	batches          = 10
	familiesPerBatch = 1000
	seriesPerFamily  = 10
	longTexts        = 2       // in each batch
	longText         = 1 << 20 // bytes
)

// A hundred thousand texts of any bytes as name, help, label name and label
// value, of series in two processes each. What is accepted is read back by Prometheus's own
// parsers as it was written, and nothing else is; the rest is refused.
func TestExpositionOfAnyText(t *testing.T) {
	promtool, missing := exec.LookPath("promtool")
	if missing != nil {
		t.Errorf("promtool is not installed: run `make deps`, or apt-get install --no-install-recommends prometheus")
	}
	batches := batches
	if effort.Few() {
		batches = 1
	}
	series, refused := 0, 0
	for seed := range batches {
		b := newBatch(t, uint64(seed))
		b.count()
		series, refused = series+len(b.want), refused+b.refused
		families := gather(t, b.dir)
		check(t, "text", b.want, b.help, encode(t, families, expfmt.NewFormat(expfmt.TypeTextPlain).WithEscapingScheme(model.NoEscaping)), promParser)
		check(t, "OpenMetrics", b.want, b.helpOM, encode(t, families, expfmt.NewFormat(expfmt.TypeOpenMetrics).WithEscapingScheme(model.NoEscaping)), openMetricsParser)
		if missing == nil {
			// It takes no names in quotes.
			checkMetrics(t, promtool, encode(t, families, expfmt.NewFormat(expfmt.TypeTextPlain).WithEscapingScheme(model.ValueEncodingEscaping)))
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Logf("%d texts; %d samples compared, %d definitions and values refused", batches*familiesPerBatch*(3+seriesPerFamily), series, refused)
}

// batch is a directory with the files of two processes.
type batch struct {
	t       *testing.T
	r       *rand.Rand
	dir     string
	want    map[string]float64 // samples, by their labels
	help    map[string]string  // by family, as the text format names it
	helpOM  map[string]string  // likewise OpenMetrics, where that of a counter lacks its _total
	refused int
}

func newBatch(t *testing.T, seed uint64) *batch {
	dir, err := os.MkdirTemp("/dev/shm", "mpmetrics-prometheus-")
	if err != nil {
		dir = t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return &batch{t: t, r: rand.New(rand.NewPCG(seed, 10)), dir: dir, want: map[string]float64{}, help: map[string]string{}, helpOM: map[string]string{}}
}

// count counts each series in two processes.
func (b *batch) count() {
	b.t.Helper()
	stores := [2]*store.Store{}
	for i := range stores {
		s, err := store.Open(store.Opts{Location: b.dir, NoAbsorption: true, Logger: silent})
		if err != nil {
			b.t.Fatal(err)
		}
		stores[i] = s
	}
	for n := range familiesPerBatch {
		d := define(b.r, n)
		var values []string
		for range seriesPerFamily {
			values = append(values, text(b.r, 12))
		}
		if n < longTexts {
			values = append(values, strings.Repeat(text(b.r, 5)+"\n\"", longText/10))
		}
		slices.Sort(values)
		b.family(stores, d, slices.Compact(values))
	}
	for _, s := range stores {
		// What is too long for the room at hand is published by then.
		if err := s.Close(); err != nil {
			b.t.Fatal(err)
		}
	}
}

func (b *batch) family(stores [2]*store.Store, d definition, values []string) {
	b.t.Helper()
	var counts [2]func(value string, n float64) error
	for i, s := range stores {
		var refused error
		if counts[i], refused = instrument(s, d); (refused == nil) != d.sane() {
			b.t.Fatalf("%+v: refused: %v, and it breaks no rule: %v", d, refused, d.sane())
		}
	}
	if !d.sane() {
		b.refused++
		return
	}
	for _, v := range values {
		n := float64(b.r.IntN(1000))
		err := errors.Join(counts[0](v, n), counts[1](v, 1))
		if (err == nil) != utf8.ValidString(v) {
			b.t.Fatalf("value %q: refused: %v", v, err)
		}
		if err != nil {
			b.refused++
			continue
		}
		b.help[d.name] = helpText(d.help)
		family := d.name
		if d.kind == layout.Counter {
			family = strings.TrimSuffix(family, "_total")
		}
		b.helpOM[family] = helpText(d.help)
		b.expect(d, v, n)
	}
}

// instrument makes a vec and returns what counts in it, or why it is refused.
func instrument(s *store.Store, d definition) (count func(value string, n float64) error, refused error) {
	defer func() {
		if r := recover(); r != nil {
			err, ok := r.(error)
			if !ok {
				panic(r)
			}
			refused = err
		}
	}()
	names := []string{d.label}
	switch d.kind {
	case layout.Counter:
		v := s.NewCounterVec(client.CounterOpts{Name: d.name, Help: d.help}, names)
		return func(value string, n float64) error {
			c, err := v.GetMetricWithLabelValues(value)
			if err == nil {
				c.Add(n)
			}
			return err
		}, nil
	case layout.Gauge:
		v := s.NewGaugeVec(client.GaugeOpts{Name: d.name, Help: d.help}, names, store.Sum)
		return func(value string, n float64) error {
			g, err := v.GetMetricWithLabelValues(value)
			if err == nil {
				g.Set(n)
			}
			return err
		}, nil
	case layout.Histogram:
		return observe(s.NewHistogramVec(client.HistogramOpts{Name: d.name, Help: d.help, Buckets: []float64{500}}, names)), nil
	}
	return observe(s.NewSummaryVec(client.SummaryOpts{Name: d.name, Help: d.help}, names)), nil
}

func observe(v client.ObserverVec) func(string, float64) error {
	return func(value string, n float64) error {
		o, err := v.GetMetricWithLabelValues(value)
		if err == nil {
			o.Observe(n)
		}
		return err
	}
}

// expect notes the samples of a series: n in one process and 1 in the other.
func (b *batch) expect(d definition, value string, n float64) {
	add := func(suffix string, v float64, le ...string) {
		pairs := append([]string{model.MetricNameLabel, d.name + suffix, d.label, value}, le...)
		b.want[labels.FromStrings(pairs...).String()] = v
	}
	switch d.kind {
	case layout.Counter, layout.Gauge:
		add("", n+1)
		return
	case layout.Histogram:
		below := 1.0
		if n <= 500 {
			below++
		}
		add("_bucket", below, "le", "500.0")
		add("_bucket", 2, "le", "+Inf")
	}
	add("_sum", n+1)
	add("_count", 2)
}

var silent = slog.New(slog.DiscardHandler)

// gather scrapes, without the metrics about mpmetrics.
func gather(t *testing.T, dir string) []*dto.MetricFamily {
	t.Helper()
	c := collector.New(collector.Opts{Location: dir, NoAbsorption: true, Logger: silent})
	defer c.Close()
	r := client.NewRegistry()
	r.MustRegister(c)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(families, func(f *dto.MetricFamily) bool { return strings.HasPrefix(f.GetName(), layout.ReservedPrefix) })
}

func encode(t *testing.T, families []*dto.MetricFamily, format expfmt.Format) []byte {
	t.Helper()
	var b bytes.Buffer
	e := expfmt.NewEncoder(&b, format)
	for _, f := range families {
		if err := e.Encode(f); err != nil {
			t.Fatal(err)
		}
	}
	if c, ok := e.(expfmt.Closer); ok {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func promParser(b []byte) textparse.Parser {
	return textparse.NewPromParser(b, labels.NewSymbolTable(), false)
}

func openMetricsParser(b []byte) textparse.Parser {
	return textparse.NewOpenMetricsParser(b, labels.NewSymbolTable())
}

// check compares what a parser reads with what was counted.
func check(t *testing.T, format string, wantSamples map[string]float64, wantHelp map[string]string, exposition []byte, newParser func([]byte) textparse.Parser) {
	t.Helper()
	samples, help, types := map[string]float64{}, map[string]string{}, map[string]string{}
	for p := newParser(exposition); ; {
		entry, err := p.Next()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				t.Errorf("%s: %v", format, err)
			}
			break
		}
		switch entry {
		case textparse.EntryHelp:
			name, text := p.Help()
			help[unquote.Replace(string(name))] = helpText(string(text))
		case textparse.EntryType:
			name, _ := p.Type()
			types[unquote.Replace(string(name))] = ""
		case textparse.EntrySeries:
			var l labels.Labels
			p.Labels(&l)
			_, at, v := p.Series()
			if _, twice := samples[l.String()]; twice || at != nil {
				t.Errorf("%s: %.200s twice: %v, or with a time: %v", format, l, twice, at)
			}
			samples[l.String()] = v
		}
	}
	compare(t, format+": samples", samples, wantSamples)
	compare(t, format+": help", help, wantHelp)
	families := map[string]string{}
	for name := range help {
		families[name] = ""
	}
	compare(t, format+": types", types, families)
}

// helpText is a help text as the parsers agree on it: blanks and NUL alone are a
// text to the one and none to the other.
func helpText(s string) string {
	if strings.Trim(s, " \t\x00") == "" {
		return ""
	}
	return s
}

// unquote is for names beside a help text, which the parsers return as they stand
// there.
var unquote = strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\n`, "\n")

// compare says what is different: at most a few, of which some are long.
func compare[V comparable](t *testing.T, what string, got, want map[string]V) {
	t.Helper()
	if maps.Equal(got, want) {
		return
	}
	told := 0
	for key := range want {
		if diff := cmp.Diff(short(got, key), short(want, key)); diff != "" && told < 5 {
			told++
			t.Errorf("%s: %.300q (-got +want):\n%.1000s", what, key, diff)
		}
	}
	for key := range got {
		if _, ok := want[key]; !ok && told < 10 {
			told++
			t.Errorf("%s: %.300q is forged", what, key)
		}
	}
}

func short[V any](m map[string]V, key string) string {
	v, ok := m[key]
	if !ok {
		return "missing"
	}
	return fmt.Sprintf("%q", fmt.Sprint(v))
}

// checkMetrics asks promtool. It exits with 3 when it dislikes a name, and with 1
// when it cannot read.
func checkMetrics(t *testing.T, promtool string, text []byte) {
	t.Helper()
	lint := exec.CommandContext(t.Context(), promtool, "check", "metrics")
	lint.Stdin = bytes.NewReader(text)
	out, err := lint.CombinedOutput()
	if exit := new(exec.ExitError); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 3) {
		t.Errorf("promtool check metrics: %v\n%.1000s", err, out)
	}
}
