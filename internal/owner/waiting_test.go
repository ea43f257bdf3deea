package owner

import (
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/internal/instrument"
)

// An instrument is found in the queue wherever it is, after others have left in front of it and out
// of the middle.
func TestInstrumentsThatWaitAreFound(t *testing.T) {
	family := instrument.CounterFamily(prometheus.CounterOpts{Name: "c", Help: "h"}, prometheus.UnconstrainedLabels{"n"})
	var w waiting
	var all []*instrument.Counter
	for n := range 100 {
		c := family.NewCounter(fmt.Sprint(n))
		all = append(all, c)
		w.add(c)
	}
	for range 10 {
		w.take()
	}
	heir := family.NewCounter("heir")
	w.replace(w.find(all[50].Base()), heir)
	all[50] = heir
	for n, c := range all {
		at := w.find(c.Base())
		if n < 10 != (at < 0) || at >= 0 && w.queue[at].Instrument != c {
			t.Errorf("instrument %d is at %d", n, at)
		}
	}
	if first := w.first(); first != instrument.Instrument(all[10]) || w.len() != 90 {
		t.Errorf("%d wait, the first is %v", w.len(), first.Base().Values)
	}
	w = waiting{} // as a forked process does
	if at := w.find(all[60].Base()); at >= 0 {
		t.Errorf("an instrument is at %d of no queue", at)
	}
}
