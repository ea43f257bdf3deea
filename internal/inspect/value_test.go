package inspect

import (
	"math"
	"strings"
	"testing"
	"unicode"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/selector"
)

func TestSeriesText(t *testing.T) {
	for _, c := range []struct {
		name   string
		labels []layout.Label
		want   string
	}{
		{name: "orders_total", labels: nil, want: `orders_total`},
		{name: "a:b", labels: []layout.Label{{Name: "x", Value: `1"2`}, {Name: "y", Value: ""}}, want: `a:b{x="1\"2",y=""}`},
		{name: "größe", labels: nil, want: `{"größe"}`},
		{name: "größe", labels: []layout.Label{{Name: "a.b", Value: "c"}}, want: `{"größe","a.b"="c"}`},
		{name: "a", labels: []layout.Label{{Name: "x", Value: "\x1b[31m\n\u202e"}}, want: `a{x="\x1b[31m\n\u202e"}`},
		{name: "9", labels: nil, want: `{"9"}`},
	} {
		if got := SeriesText(c.name, c.labels); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}

// FuzzSeriesText checks that a series is written as a selector that means it, and
// that a terminal would obey none of it.
func FuzzSeriesText(f *testing.F) {
	f.Add("orders_total", "path", "/a")
	f.Add("größe", "a b", "\x1b]0;title\a")
	f.Add("x", "__name__x", "\xff\u009b\"\\`'")
	f.Fuzz(func(t *testing.T, name, label, value string) {
		if name == "" || label == "" || label == selector.NameLabel || value == "" {
			return
		}
		text := SeriesText(name, []layout.Label{{Name: label, Value: value}})
		if strings.ContainsFunc(text, unicode.IsControl) {
			t.Errorf("%q has control characters", text)
		}
		sel, err := selector.Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		labels := func(v string) func(string) string {
			return func(n string) string {
				if n == label {
					return v
				}
				return ""
			}
		}
		if !sel.Matches(name, labels(value)) || sel.Matches(name+"x", labels(value)) || sel.Matches(name, labels(value+"x")) {
			t.Errorf("%s does not mean %q{%q=%q}", text, name, label, value)
		}
	})
}

func TestEscape(t *testing.T) {
	for text, want := range map[string]string{
		`plain "quoted" text`: `plain "quoted" text`,
		"größe":               "größe",
		"\x1b[31mred":         `\x1b[31mred`,
		"a\nb\\":              `a\nb\\`,
		"\xff\u009b\u202e":    `\xff\u009b\u202e`,
	} {
		if got := Escape(text); got != want {
			t.Errorf("%q is escaped as %s, want %s", text, got, want)
		}
	}
}

func TestFormatNumber(t *testing.T) {
	for _, c := range []struct {
		v    float64
		want string
	}{
		{0, "0"},
		{17, "17"},
		{-3, "-3"},
		{2.5, "2.5"},
		{1e15, "1000000000000000"},
		{1e22, "1e+22"},
		{0.30000000000000004, "0.30000000000000004"},
		{math.NaN(), "NaN"},
		{math.Inf(+1), "+Inf"},
		{math.Inf(-1), "-Inf"},
	} {
		if got := FormatNumber(c.v); got != c.want {
			t.Errorf("%v is %s, want %s", c.v, got, c.want)
		}
	}
}
