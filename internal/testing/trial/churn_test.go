//go:build unix

package trial

import (
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/store"
)

// Names of the gauges that leave with their process.
const (
	aliveEach = "alive_each" // LiveAll
	aliveSum  = "alive_sum"  // LiveSum, with the owner as a label: one series for each process
)

// fractions are what processes add in turns. With sums of two floats the result
// would depend on the order.
var fractions = []float64{0x1p-55, 0.5, 0x1p51 + 0.5}

// churn is a number of short processes one after the other: each store is a
// process of its own to readers. args are the directory, the number of the
// child, how many processes it is, and whether it waits for a signal at the end.
// The witness gets a byte for each process whose updates are done; all but the
// last are dead by then.
func churn(args []string) error {
	processes, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	for n := range processes {
		owner := ownerName(args[1], n)
		s, err := store.Open(store.Opts{Location: args[0], Process: owner, NoAbsorption: true, Logger: silent})
		if err != nil {
			return err
		}
		update(s, owner, n)
		if n == processes-1 {
			break
		}
		if err := s.Close(); err != nil {
			return err
		}
		witness('c')
	}
	witness('c')
	if args[3] == "wait" {
		_, err = io.Copy(io.Discard, os.Stdin) // the test may end first
	}
	return err
}

func ownerName[T string | int](child T, n int) string { return fmt.Sprintf("%v-%d", child, n) }

// update makes eleven series and adds to each once, so that nothing is rounded
// before processes are added up.
func update(s *store.Store, owner string, n int) {
	byName := []string{"goroutine"} // see keyOf
	whole := s.NewCounterVec(prometheus.CounterOpts{Name: "whole_total", Help: "Whole numbers."}, byName)
	half := s.NewCounterVec(prometheus.CounterOpts{Name: "half_total", Help: "Fractions."}, byName)
	values := s.NewHistogramVec(prometheus.HistogramOpts{Name: "values", Help: "Fractions.", Buckets: []float64{0.2, 2}}, byName)
	for i := range 4 {
		whole.WithLabelValues(strconv.Itoa(i)).Add(float64(i + 1))
	}
	for i, v := range added(n) {
		half.WithLabelValues(strconv.Itoa(i)).Add(v)
	}
	for i, v := range added(n) {
		values.WithLabelValues(strconv.Itoa(i)).Observe(v)
	}
	s.NewGauge(prometheus.GaugeOpts{Name: aliveEach, Help: "One for each living process."}, store.LiveAll).Set(1)
	s.NewGaugeVec(prometheus.GaugeOpts{Name: aliveSum, Help: "The living."}, []string{"owner"}, store.LiveSum).WithLabelValues(owner).Set(1)
}

// added is what the process with a number adds to the fractions.
func added(n int) []float64 { return []float64{0.1, fractions[n%len(fractions)]} }

// ledger is what the test knows about the processes of a churn.
type ledger struct {
	begun, counted atomic.Int64 // processes: started at most, and finished at least
	deaths         atomic.Int64 // those that are dead

	mu       sync.Mutex
	deathOf  map[string]int64 // by owner: the number of its death
	children []int            // how many processes each child was
}

func newLedger() *ledger { return &ledger{deathOf: map[string]int64{}} }

// child runs a child to its end: as so many processes, of which the last exits
// without Close or is killed.
func (l *ledger) child(t testing.TB, dir string, processes int, kill bool) {
	t.Helper()
	l.begun.Add(int64(processes))
	l.mu.Lock()
	number := len(l.children)
	l.children = append(l.children, processes)
	l.mu.Unlock()
	end := "exit"
	if kill {
		end = "wait"
	}
	c := start(t, "churn", dir, strconv.Itoa(number), strconv.Itoa(processes), end)
	for n := range processes {
		if _, err := c.Output().ReadByte(); err != nil {
			t.Errorf("child %d ended at its process %d: %v", number, n, err)
			return
		}
		l.counted.Add(1)
		if n < processes-1 {
			l.died(ownerName(number, n))
		}
	}
	if kill {
		c.Signal(syscall.SIGKILL)
	}
	c.ended(t)
	l.died(ownerName(number, processes-1))
}

func (l *ledger) died(owner string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deathOf[owner] = l.deaths.Load() + 1
	l.deaths.Add(1)
}

// deadBefore reports whether a process was among the first so many that died.
func (l *ledger) deadBefore(owner string, deaths int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	death, dead := l.deathOf[owner]
	return dead && death <= deaths
}

// want is the exact result, rounded once.
func (l *ledger) want() map[string]value {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all, upTo02, upTo2 float64
	sums := [2]*big.Float{exactly(0), exactly(0)}
	for _, processes := range l.children {
		for n := range processes {
			all++
			for i, v := range added(n) {
				sums[i].Add(sums[i], exactly(v))
			}
			if v := added(n)[1]; v <= 0.2 {
				upTo02++
			} else if v <= 2 {
				upTo2++
			}
		}
	}
	want := map[string]value{}
	for i := range 4 {
		want[key("whole_total", strconv.Itoa(i))] = value{count: all * float64(i+1)}
	}
	for i, sum := range sums {
		rounded, _ := sum.Float64()
		want[key("half_total", strconv.Itoa(i))] = value{count: rounded}
		want[key("values", strconv.Itoa(i))] = value{count: all, sum: rounded, last: all}
	}
	// The last bucket that is exposed is that up to 2.
	last := want[key("values", "1")]
	last.last = upTo02 + upTo2
	want[key("values", "1")] = last
	return want
}

// exactly has room for every sum of float64s that the tests add up.
func exactly(v float64) *big.Float { return new(big.Float).SetPrec(2200).SetFloat64(v) }

// check compares the exact result with what is shown in the end.
func (l *ledger) check(t *testing.T, got map[string]value) {
	t.Helper()
	want := l.want()
	for k, w := range want {
		if got[k] != w {
			t.Errorf("%s: got %+v, want %+v", k, got[k], w)
		}
	}
	if len(got) != len(want) {
		t.Errorf("got %d series, want %d", len(got), len(want))
	}
}

// silent keeps what is said about a directory on a disk, thousands of times, out
// of the way.
var silent = slog.New(slog.DiscardHandler)

// numbers are label values.
func numbers(n int) []string {
	values := make([]string, n)
	for i := range values {
		values[i] = strconv.Itoa(i)
	}
	return values
}
