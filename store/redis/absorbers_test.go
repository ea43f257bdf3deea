//go:build unix

package redis

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"math/big"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/internal/testing/effort"
	"github.com/mpmetrics/mpmetrics/internal/testing/redisserver"
)

// Two collectors absorb all the time, on connections of their own, whoever is late for a
// moment, and these come back: nothing doubles, dips or is lost.
func TestTwoAbsorbers(t *testing.T) {
	t.Parallel()
	duration := 30 * time.Second
	switch {
	case effort.Soak():
		duration = 10 * time.Minute
	case testing.Short():
		duration = 3 * time.Second
	}
	location := redisserver.Start(t).URL("namespace=shop")
	var workers sync.WaitGroup
	var absorbed, busy, counted atomic.Int64
	stop := make(chan struct{})
	time.AfterFunc(duration, func() { close(stop) })
	each := func(do func()) {
		workers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					do()
				}
			}
		})
	}
	for range 2 {
		each(func() {
			report, err := compact.Run(context.Background(), location, compact.Opts{Logger: slog.New(slog.DiscardHandler)})
			absorbed.Add(int64(report.Absorbed))
			switch {
			case errors.Is(err, compact.ErrBusy):
				busy.Add(1)
			case err != nil:
				t.Error(err)
			}
			if len(report.Quarantined) > 0 {
				t.Errorf("put aside: %v", report.Quarantined)
			}
		})
	}
	var processes []*process
	for range 8 {
		p := newProcess(t, location, 10*time.Millisecond)
		processes = append(processes, p)
		each(func() {
			for range rand.IntN(10) {
				counted.Add(1)
				p.add(0.1)
			}
			if err := p.Flush(context.Background()); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Duration(rand.IntN(25)) * time.Millisecond) // it is late or is not
		})
	}
	r, last, scrapes := newReader(t, location), -1.0, 0 // -1: nothing yet
	each(func() {
		got := r.total(t)
		if most := float64(counted.Load()) * 1.1; got < last || got > most+1e-6 {
			t.Errorf("%v is shown after %v, and %v is all", got, last, most)
		}
		last = got
		scrapes++
	})
	workers.Wait()
	exact := new(big.Float).SetPrec(2000)
	for _, p := range processes {
		if err := p.End(context.Background()); err != nil {
			t.Fatal(err)
		}
		exact.Add(exact, new(big.Float).SetUint64(p.whole.Load()))
		exact.Add(exact, big.NewFloat(math.Float64frombits(p.float.Load())))
	}
	want, _ := exact.Float64()
	if got := newReader(t, location).total(t); got != want {
		t.Errorf("all have ended: %v, want %v", got, want)
	}
	if _, err := compact.Run(context.Background(), location, compact.Opts{}); err != nil {
		t.Fatal(err)
	}
	if got := newReader(t, location).total(t); got != want {
		t.Errorf("all are absorbed: %v, want %v", got, want)
	}
	t.Logf("%d absorbed, %d times another one was first, %d scrapes, %v counted", absorbed.Load(), busy.Load(), scrapes, want)
	if absorbed.Load() < int64(len(processes)) || busy.Load() == 0 {
		t.Errorf("nothing was tested: %d absorbed, %d busy", absorbed.Load(), busy.Load())
	}
}
