package prometheus_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/common/model"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// pieces are what texts are made of that want to be taken for something else.
var pieces = []string{
	"\n", "\r\n", "\"", "\\", "\\n", "\\\"", "{", "}", "=", ",", " ", "\t", "#", "\x00", "\x7f", "\xff", "\xc3", "\xed\xa0\x80", "\uFEFF", "\u2028", "é", "日本", "😀",
	"# EOF\n", "\n# EOF\n", "\n# HELP forged h\n", "\n# TYPE forged counter\n", "\nforged_total 1\n", "\"} 1\nforged_total{l=\"", "} 1 # {", "# {trace_id=\"x\"} 1",
	"_total", "_count", "_bucket", "le", "__name__", "U__", "::", "a.b-c", " 1 1700000000000\n", "NaN",
}

// text makes a text of up to n pieces. Most have no invalid byte, or there would
// be few definitions that anybody accepts.
func text(r *rand.Rand, n int) string {
	var b strings.Builder
	for range r.IntN(n + 1) {
		switch r.IntN(3) {
		case 0:
			b.WriteString(pieces[r.IntN(len(pieces))])
		case 1:
			b.WriteByte(byte(r.IntN(256)))
		default:
			b.WriteString(fmt.Sprintf("%c", 'a'+rune(r.IntN(26))))
		}
	}
	if r.IntN(5) > 0 {
		return strings.ToValidUTF8(b.String(), "?")
	}
	return b.String()
}

// name makes a short text.
func name(r *rand.Rand) string { return text(r, 4) }

// definition is a family that is tried.
type definition struct {
	kind       layout.Type
	name, help string
	label      string
}

func define(r *rand.Rand, number int) definition {
	d := definition{
		kind: layout.Type(1 + r.IntN(4)), help: text(r, 12), label: name(r),
		// The number keeps names apart that are different texts, of which one may
		// be that of a bucket of the other.
		name: fmt.Sprintf("%s<%d>%s", name(r), number, name(r)),
	}
	if r.IntN(3) == 0 {
		d.name = fmt.Sprintf("plain_%d", number) // which needs no quotes
		if d.kind == layout.Counter {
			d.name += "_total" // which OpenMetrics wants
		}
	}
	return d
}

// sane reports whether a definition breaks no rule.
func (d definition) sane() bool {
	reserved := map[layout.Type]string{layout.Histogram: "le", layout.Summary: "quantile"}[d.kind]
	return utf8.ValidString(d.name) && utf8.ValidString(d.help) && utf8.ValidString(d.label) &&
		!strings.Contains(d.name+d.label, "\x00") && !strings.Contains(d.label, ":") &&
		d.label != "" && d.label != reserved && !strings.HasPrefix(d.label, model.ReservedLabelPrefix) &&
		!strings.HasPrefix(d.name, layout.ReservedPrefix)
}
