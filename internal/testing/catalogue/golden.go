package catalogue

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
)

// row is a family in a golden file.
type row struct {
	name, kind, rule, merged, why string

	mode layout.Mode // of rule
}

// rowOf returns the row of a family by the rules, without the merged value.
func rowOf(name, kind string) row {
	rule := merge.RuleFor(typeOf(kind), name)
	r := row{name: name, kind: kind, mode: rule.Mode, rule: "sum, the dead too", why: "by type: " + rule.Reason}
	if rule.Mode.Valid() {
		r.rule = rule.Mode.String()
	}
	if rule.Named {
		r.why = "by name: " + rule.Reason
	}
	return r
}

func typeOf(kind string) layout.Type {
	for _, t := range []layout.Type{layout.Counter, layout.Gauge, layout.Histogram, layout.Summary, layout.Untyped} {
		if t.String() == kind {
			return t
		}
	}
	return layout.NativeHistogram
}

// textOf is the text of a golden file.
func textOf(rows []row) []byte {
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(a.name, b.name) })
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "family\ttype\trule\tmerged\twhy")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", r.name, r.kind, r.rule, r.merged, r.why)
	}
	w.Flush()
	return b.Bytes()
}

// minorVersion is the version of Go without the patch: go1.26.
var minorVersion = regexp.MustCompile(`^go\d+\.\d+`).FindString(runtime.Version())

func (l *Library) golden() string {
	name := l.Name
	if l.Toolchain {
		name += "." + minorVersion
	}
	return filepath.Join("testdata", name+".txt")
}

func (l *Library) hasGolden() bool {
	_, err := os.Stat(l.golden())
	return err == nil
}

func (l *Library) writeGolden(t *testing.T, rows []row) {
	t.Helper()
	if err := os.WriteFile(l.golden(), textOf(rows), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (l *Library) compare(t *testing.T, rows []row) {
	t.Helper()
	want, err := os.ReadFile(l.golden())
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(textOf(rows)), "\n")); diff != "" {
		t.Errorf("%s differs (-want +got). A new version of a library has new families: look at their rules, then run the test with -update\n%s", l.golden(), diff)
	}
}

var gap = regexp.MustCompile(` {2,}`)

// TestRules compares the rules in the golden files of some patterns with the rules of package merge:
// a rule cannot change without a look at the families that the rule decides about. The libraries
// need not run for that.
func TestRules(t *testing.T, patterns ...string) {
	var files []string
	for _, p := range patterns {
		found, err := filepath.Glob(p)
		if err != nil || found == nil {
			t.Fatalf("no golden files %s: %v", p, err)
		}
		files = append(files, found...)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		rows := strings.Split(strings.TrimSpace(string(text)), "\n")[1:]
		for _, line := range rows {
			c := gap.Split(line, -1)
			if len(c) != 5 {
				t.Errorf("%s: bad line %q", file, line)
				continue
			}
			if want := rowOf(c[0], c[1]); c[2] != want.rule || c[4] != want.why {
				t.Errorf("%s: %s is merged by %s, %s; the rules say %s, %s", file, c[0], c[2], c[4], want.rule, want.why)
			}
		}
	}
}
