//go:build unix

package ownerfile

import (
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"testing"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/reader"
)

// As many series have come and gone as there are numbers: the file says so in time, takes the last
// ones, and stays readable.
func TestSeriesNumbersDoNotWrap(t *testing.T) {
	p := create(t)
	family := counterFamily(t, p)
	if err := p.Check(); err != nil {
		t.Fatal(err)
	}
	p.SkipSeries(math.MaxUint32 - numbersAhead)
	if err := p.Check(); err != nil {
		t.Errorf("with %d numbers left: %v", numbersAhead, err)
	}
	p.SkipSeries(1)
	if err := p.Check(); !errors.Is(err, ErrExhausted) {
		t.Errorf("with %d numbers left: got %v, want %v", numbersAhead-1, err, ErrExhausted)
	}
	p.SkipSeries(numbersAhead - 3)
	taken := 0
	var last Run
	for n := range 5 {
		if r, ok := p.ReplaceSeries(nil, family, 1, []string{fmt.Sprint(n)}, layout.CounterWords, func([]atomic.Uint64) {}); ok {
			taken++
			last = r
		}
	}
	if taken != 2 {
		t.Errorf("%d series were taken, want 2", taken)
	}
	if _, ok := p.ReplaceSeries(&last, family, 1, []string{"other"}, layout.CounterWords, func([]atomic.Uint64) {}); ok {
		t.Error("a series was replaced, without a number for the new one")
	}
	if _, ok := p.AppendDeleted(family, 1, []string{"share"}, layout.CounterWords, func([]atomic.Uint64) {}); ok {
		t.Error("a share was taken, without a number")
	}
	r, err := reader.Open(p.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Load(); err != nil {
		t.Error(err)
	}
	if got := len(r.Entries()) - r.Gone(); got != taken {
		t.Errorf("a reader sees %d series, want %d", got, taken)
	}
	if !p.AppendGone(last, 1) {
		t.Error("the last series cannot leave")
	}
}
