//go:build unix

package owner

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/internal/instrument"
)

// An operator moves the file of a process to another name, and cuts the file there, after the series
// have moved into a new file: the search for late increments neither faults nor takes counts away.
func TestRetiredFileIsCut(t *testing.T) {
	b := newBurst(t)
	defer b.close(t)
	f := instrument.CounterFamily(prometheus.CounterOpts{Name: "c_total", Help: "h"}, nil)
	c := f.NewCounter()
	f.Single, f.Collector = c, c
	b.catalog.Add(f)
	c.Add(7)
	path := b.Path()
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.Rename(path, elsewhere); err != nil {
		t.Fatal(err)
	}
	b.maintain(true, false)
	if len(b.retired) != 1 {
		t.Fatalf("%d retired files, want 1", len(b.retired))
	}
	if err := os.Chmod(elsewhere, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(elsewhere, 0); err != nil {
		t.Fatal(err)
	}
	b.maintain(false, false) // before anybody has noticed
	for range 2 {
		b.maintain(true, false)
	}
	var value [2]uint64
	c.Inc()
	c.Load(value[:])
	if value[0] != 8 {
		t.Errorf("the counter is %d, want 8", value[0])
	}
	if err := b.Degraded(); err != nil {
		t.Error(err)
	}
}
