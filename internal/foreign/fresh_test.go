package foreign

import (
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/internal/instrument"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/place"
)

// shared is a place that other processes see.
type shared struct{ place.Memory }

func (shared) Shared() bool { return true }

// A program may go on with the vec of a closed store, for as long as the program likes.
func TestClosedMirrorNotesNoSeries(t *testing.T) {
	m := New(Config{Catalog: instrument.NewCatalog(1), Place: shared{}, Logger: slog.New(slog.DiscardHandler)})
	f := instrument.NewFamily(layout.Family{Type: layout.NativeHistogram, Name: "h", Help: "h"}, prometheus.UnconstrainedLabels{"l"}, "", "", nil)
	m.Fresh(f, []string{"a"})
	if n := len(m.fresh.all); n != 1 {
		t.Fatalf("%d fresh series are noted, want 1", n)
	}
	m.Close()
	m.Fresh(f, []string{"b"})
	if n := len(m.fresh.all); n != 0 {
		t.Errorf("%d fresh series are noted after Close, which no flush takes", n)
	}
}
