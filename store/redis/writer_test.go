//go:build unix

package redis_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/internal/testing/reexec"
	"github.com/mpmetrics/mpmetrics/store"
)

// A writer is a process of its own that counts. Its witness is a file: what it writes
// there stays when it is killed, and is there before what it tells of.
//
//	word 0  steps that it has begun, and so may have counted
//	word 1  steps that others see for sure: the server has answered
//	word 2  1 when it has counted all
const (
	begunAt = 8 * iota
	sureAt
	doneAt
	witnessBytes
)

const writerInterval = 20 * time.Millisecond

// fraction is what a step adds to the float counter: no float64 is 0.1.
const fraction = 0.1

// writeSteps is the writer. It ends when its standard input does.
func writeSteps(args []string) error {
	location, label := args[0], args[2]
	steps, err := strconv.Atoi(args[4])
	if err != nil {
		return err
	}
	witness, err := os.OpenFile(args[1], os.O_RDWR, 0)
	if err != nil {
		return err
	}
	say := func(at int64, n int) {
		if _, err := witness.WriteAt(binary.LittleEndian.AppendUint64(nil, uint64(n)), at); err != nil {
			panic(err)
		}
	}
	var s *store.Store
	for { // the server may be about to start
		o := store.Opts{Location: location, Process: label, FlushInterval: writerInterval, NoAbsorption: true, Logger: slog.New(slog.DiscardHandler)}
		if s, err = store.Open(o); err == nil {
			break
		}
		time.Sleep(writerInterval)
	}
	whole := s.NewCounter(prometheus.CounterOpts{Name: "steps_total", Help: "h"})
	mine := s.NewCounterVec(prometheus.CounterOpts{Name: "writer_steps_total", Help: "h"}, []string{"writer"}).WithLabelValues(label)
	float := s.NewCounterVec(prometheus.CounterOpts{Name: "fraction_total", Help: "h"}, []string{"writer"}).WithLabelValues(label)
	ours := s.NewCounterVec(prometheus.CounterOpts{Name: "group_fraction_total", Help: "h"}, []string{"group"}).WithLabelValues(args[3])
	h := s.NewHistogram(prometheus.HistogramOpts{Name: "size", Help: "h", Buckets: []float64{1, 2}})
	const perTick = 10
	ticker := time.NewTicker(writerTick)
	for n := 0; n < steps; {
		<-ticker.C
		say(begunAt, min(n+perTick, steps))
		for range min(perTick, steps-n) {
			whole.Inc()
			mine.Inc()
			float.Add(fraction)
			ours.Add(fraction)
			h.Observe(1)
			n++
		}
		if n/perTick%4 == 0 || n == steps {
			if s.Flush(context.Background()) == nil {
				say(sureAt, n)
			}
		}
	}
	say(doneAt, 1)
	_, _ = io.Copy(io.Discard, os.Stdin) // until it is closed
	return s.Close()
}

// writerTick spreads the steps over the faults.
const writerTick = 4 * time.Millisecond

// writer is one as the test sees it.
type writer struct {
	label   string
	victim  bool // it will be killed
	steps   int
	process *reexec.Process
	witness string
	mu      sync.Mutex
	lost    bool // what it had counted, since it was killed
	killed  bool
}

func startWriter(t testing.TB, location, label string, victim bool, steps int) *writer {
	t.Helper()
	w := &writer{label: label, victim: victim, steps: steps, witness: t.TempDir() + "/witness"}
	if err := os.WriteFile(w.witness, make([]byte, witnessBytes), 0o600); err != nil {
		t.Fatal(err)
	}
	w.process = reexec.Start(t, "write", location, w.witness, label, fmt.Sprint(victim), strconv.Itoa(steps))
	t.Cleanup(w.kill)
	return w
}

func (w *writer) signal(s syscall.Signal) { w.process.Signal(s) }

func (w *writer) kill() {
	if w.process.Cmd.ProcessState == nil {
		w.process.Kill()
		w.mu.Lock()
		w.killed = true
		w.mu.Unlock()
	}
}

// end lets it close its store.
func (w *writer) end() error {
	w.process.CloseInput()
	_, err := w.process.Wait()
	return err
}

func (w *writer) said(at int64) uint64 {
	b, err := os.ReadFile(w.witness)
	if err != nil || len(b) < witnessBytes {
		panic(fmt.Sprint("witness: ", err))
	}
	return binary.LittleEndian.Uint64(b[at:])
}

// bounds are how many of its steps there are for sure, and at most.
func (w *writer) bounds() (least, most uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	least, most = w.said(sureAt), w.said(begunAt)
	if w.killed && w.lost {
		least = 0
	}
	return least, most
}

// fractions is what so many steps add up to, as the writer adds.
func fractions(steps uint64) (sum float64) {
	for range steps {
		sum += fraction
	}
	return sum
}

func nearSteps(sum float64) uint64 { return uint64(math.Round(sum / fraction)) }
