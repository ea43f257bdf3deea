//go:build unix

package fuzz

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/store"
)

// FuzzExposition lets the fuzzer choose name, help and label of a counter, which
// then goes all the way: into a file, out of it, through a merge and a registry
// into the text format, and back through a parser. What comes out is what went
// in, or the definition was refused with a reason; nothing else is in the
// scrape.
func FuzzExposition(f *testing.F) {
	for _, seed := range [][4]string{
		{"n_total", "Help.", "label", "value"},
		{"größe_total", "Zwei\nZeilen \\ und \"Zeichen\"", "wärme", "a\nb\\c\"d"},
		{"with space", "", "with.dot", ""},
		{"n_total", "h", "l", "\xff\xfe"},
		{"n_total", "h", "le", "}\nforged_total 1\n"},
		{"n_total\x00", "h\x00", "l\x00", "\x00"},
		{"", "", "", ""},
		{"a{b=\"c\"}", "# HELP x y\n# TYPE x counter", "a=\"b\",c", "\" 1\n# EOF\n"},
		{"n", strings.Repeat("h", 1<<11), "l", strings.Repeat("v", 1<<11)},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	f.Fuzz(func(t *testing.T, name, help, label, value string) {
		dir := memoryDir(t)
		s, err := store.Open(store.Opts{Location: dir, NoAbsorption: true, Logger: silent})
		if err != nil {
			t.Fatal(err)
		}
		refused := count1(s, name, help, label, value)
		// What is too long for the room at hand is published by then.
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if refused != nil {
			return // as client_golang would
		}
		families := gather(t, dir)
		text := encode(t, families)
		parser := expfmt.NewTextParser(model.UTF8Validation)
		parsed, err := parser.TextToMetricFamilies(bytes.NewReader(text))
		if err != nil {
			t.Fatalf("parse: %v\n%q", err, text)
		}
		if len(parsed) != 1 || parsed[name] == nil || len(parsed[name].GetMetric()) != 1 {
			t.Fatalf("%d families, want %q alone:\n%q", len(parsed), name, text)
		}
		m := parsed[name].GetMetric()[0]
		labels := map[string]string{}
		for _, l := range m.GetLabel() {
			labels[l.GetName()] = l.GetValue()
		}
		// A label without a value is one that is not there.
		if diff := cmp.Diff(map[string]string{label: value}, labels); diff != "" {
			t.Errorf("labels (-in +out):\n%s", diff)
		}
		// Between the name and the help text a parser skips blanks.
		help = strings.TrimLeft(help, " \t")
		if m.GetCounter().GetValue() != 1 || parsed[name].GetHelp() != help {
			t.Errorf("value %v, help %q, want 1, %q", m.GetCounter().GetValue(), parsed[name].GetHelp(), help)
		}
	})
}

// count1 counts 1, and returns the reason if a definition or value is refused.
func count1(s *store.Store, name, help, label, value string) (refused error) {
	defer func() {
		if r := recover(); r != nil {
			err, ok := r.(error)
			if !ok {
				panic(r)
			}
			refused = err
		}
	}()
	v := s.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	c, err := v.GetMetricWithLabelValues(value)
	if err != nil {
		return err
	}
	if !utf8.ValidString(value) {
		return errors.New("not UTF-8, and not refused")
	}
	c.Inc()
	return nil
}

// gather scrapes, without the metrics about mpmetrics.
func gather(t testing.TB, dir string) []*dto.MetricFamily {
	t.Helper()
	c := collector.New(collector.Opts{Location: dir, NoAbsorption: true, Logger: silent})
	defer c.Close()
	r := prometheus.NewRegistry()
	r.MustRegister(c)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var own []*dto.MetricFamily
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "mpmetrics_") {
			own = append(own, f)
		}
	}
	return own
}

func encode(t testing.TB, families []*dto.MetricFamily) []byte {
	t.Helper()
	var text bytes.Buffer
	e := expfmt.NewEncoder(&text, expfmt.NewFormat(expfmt.TypeTextPlain).WithEscapingScheme(model.NoEscaping))
	for _, f := range families {
		if err := e.Encode(f); err != nil {
			t.Fatal(err)
		}
	}
	return text.Bytes()
}
