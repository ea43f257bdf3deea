//go:build unix

package reader

import (
	"errors"
	"os"
	"testing"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

func TestReadRaw(t *testing.T) {
	p := owner(t)
	appendSeries(t, p, appendFamily(t, p, &layout.Family{Type: layout.Counter, Name: "own_total"}), nil, 7, 0)
	puts(t, p, map[string][]byte{"c_total": encoded(t, counters("c_total", map[string]float64{"a": 1}), 0)})
	r, err := ReadRaw(p.Path())
	if err != nil {
		t.Fatal(err)
	}
	if r.Header.ID != p.Header().ID || len(r.Slabs) != 2 || len(r.Mirrored) != 1 || len(r.Mirrored["c_total"]) == 0 {
		t.Errorf("%+v", r)
	}
	if used := r.SlabPages() + r.TreePages; used < 7 || uint64(used) >= r.Pages || int64(r.Pages)*int64(r.PageSize) > r.Bytes {
		t.Errorf("%d pages used of %d, %d bytes", used, r.Pages, r.Bytes)
	}
	f := open(t, p.Path())
	for _, s := range r.Slabs {
		if known := f.slabs[s.Number]; known == nil || known.place != (place{s.SlabHeader, s.Offset}) {
			t.Errorf("slab %+v, the reader knows %+v", s, known)
		}
	}
	// A copy will do.
	b, err := os.ReadFile(p.Path())
	if err != nil {
		t.Fatal(err)
	}
	path := t.TempDir() + "/copy"
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := ReadRaw(path); err != nil || c.Header.ID != r.Header.ID {
		t.Errorf("%+v, %v", c, err)
	}
	if err := os.WriteFile(path, b[:5000], 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := ReadRaw(path); c != nil || !errors.Is(err, layout.ErrDamaged) {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err := ReadRaw(path + "x"); c != nil || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%+v, %v", c, err)
	}
}
