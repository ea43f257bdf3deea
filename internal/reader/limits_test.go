package reader

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// What is above a bound is no proof of damage: it is left alone, and said.
func TestLimits(t *testing.T) {
	family := &layout.Family{Type: layout.Counter, Name: "c_total", LabelNames: []string{"l"}, ConstLabels: []layout.Label{{Name: "k", Value: "v"}}}
	for name, c := range map[string]struct {
		file   *File
		keep   func(*File) error
		saying string
	}{
		"families":                    {&File{families: make([]*layout.Family, maxFamilies)}, func(r *File) error { return r.keepFamily(family) }, "100000 families"},
		"memory of families":          {&File{memory: maxFileMemory}, func(r *File) error { return r.keepFamily(family) }, "1024 MiB"},
		"series":                      {&File{entries: make([]Entry, layout.MaxSeries)}, func(r *File) error { return r.keepEntry(family, Entry{}) }, "1048576 series"},
		"memory of series":            {&File{memory: maxFileMemory}, func(r *File) error { return r.keepEntry(family, Entry{}) }, "1024 MiB"},
		"memory of native histograms": {&File{memory: maxFileMemory}, func(r *File) error { return r.keepNative(0, &layout.Native{}) }, "1024 MiB"},
		"mirrored families": {nil, func(*File) error {
			full := make([]mirrorValue, maxFamilies)
			return (&tree{}).values(0, leafOf(0), &full)
		}, "100000 mirrored families"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.keep(c.file); !errors.Is(err, layout.ErrLimit) || !strings.Contains(err.Error(), c.saying) {
				t.Errorf("error %v, want %v that says %q", err, layout.ErrLimit, c.saying)
			}
		})
	}
	if err := (&tree{}).values(0, leafOf(bucketElement), new([]mirrorValue)); !errors.Is(err, layout.ErrDamaged) {
		t.Errorf("a bucket among mirrored families: %v, want %v", err, layout.ErrDamaged)
	}
	r := &File{memory: maxFileMemory, mirrored: map[string]*mirrored{}}
	value := layout.AppendMirror(nil, 0, nil)
	if err := r.mirror([]mirrorValue{{"", value}}); err != nil {
		t.Errorf("a mirrored family without series: %v", err)
	}
}

// leafOf is an inline page with one empty element.
func leafOf(flags uint32) page {
	p := make(page, pageHeaderBytes+elementBytes)
	binary.LittleEndian.PutUint16(p[8:], leafPage)
	binary.LittleEndian.PutUint16(p[10:], 1)
	binary.LittleEndian.PutUint32(p[pageHeaderBytes:], flags)
	binary.LittleEndian.PutUint32(p[pageHeaderBytes+4:], elementBytes)
	return p
}
