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
		"families":                    {table: &Table{families: make([]*layout.Family, MaxFamilies)}, keep: addFamily, saying: "100000 families"},
		"memory of families":          {table: &Table{memory: maxMemory}, keep: addFamily, saying: "1024 MiB"},
		"series":                      {table: &Table{families: one, entries: make([]Entry, layout.MaxSeries)}, keep: add, saying: "1048576 series"},
		"memory of series":            {table: &Table{families: one, memory: maxMemory}, keep: add, saying: "1024 MiB"},
		"memory of native histograms": {table: &Table{memory: maxMemory}, keep: func(t *Table) error { return t.keepNative(0, &layout.Native{}) }, saying: "1024 MiB"},
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
