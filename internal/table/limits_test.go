package table

import (
	"errors"
	"strings"
	"testing"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// What is above a bound is no proof of damage: it is left alone, and said.
func TestLimits(t *testing.T) {
	family := &layout.Family{Type: layout.Counter, Name: "c_total", LabelNames: []string{"l"}, ConstLabels: []layout.Label{{Name: "k", Value: "v"}}}
	add := func(t *Table) error {
		_, err := t.Add(Entry{})
		return err
	}
	addFamily := func(t *Table) error {
		_, err := t.AddFamily(family)
		return err
	}
	one := []*layout.Family{family}
	for name, c := range map[string]struct {
		table  *Table
		keep   func(*Table) error
		saying string
	}{
		"families":                    {&Table{families: make([]*layout.Family, MaxFamilies)}, addFamily, "100000 families"},
		"memory of families":          {&Table{memory: maxMemory}, addFamily, "1024 MiB"},
		"series":                      {&Table{families: one, entries: make([]Entry, layout.MaxSeries)}, add, "1048576 series"},
		"memory of series":            {&Table{families: one, memory: maxMemory}, add, "1024 MiB"},
		"memory of native histograms": {&Table{memory: maxMemory}, func(t *Table) error { return t.keepNative(0, &layout.Native{}) }, "1024 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.keep(c.table); !errors.Is(err, layout.ErrLimit) || !strings.Contains(err.Error(), c.saying) {
				t.Errorf("error %v, want %v that says %q", err, layout.ErrLimit, c.saying)
			}
		})
	}
	full := &Table{memory: maxMemory}
	if err := full.TakeMirrored([]Mirrored{{Value: layout.AppendMirror(nil, 0, nil)}}); err != nil {
		t.Errorf("a mirrored family without series: %v", err)
	}
}
