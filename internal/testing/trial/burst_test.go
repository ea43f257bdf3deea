//go:build unix

package trial

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/reader"
	"github.com/mpmetrics/mpmetrics/internal/testing/effort"
	"github.com/mpmetrics/mpmetrics/internal/testing/reexec"
	"github.com/mpmetrics/mpmetrics/store"
)

func init() { programs["burst"] = makeAtOnce }

// makeAtOnce makes series in a row, counts once in each, and kills itself: args are the directory, the
// number of series, and their type.
func makeAtOnce(args []string) error {
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	s, err := store.Open(store.Opts{Location: args[0], NoAbsorption: true, Logger: silent, MaxSeries: 2 * n})
	if err != nil {
		return err
	}
	labels := []string{"path"}
	var count func(path string)
	switch args[2] {
	case "counter":
		vec := s.NewCounterVec(prometheus.CounterOpts{Name: "c", Help: "h"}, labels)
		count = func(path string) { vec.WithLabelValues(path).Inc() }
	case "gauge":
		vec := s.NewGaugeVec(prometheus.GaugeOpts{Name: "g", Help: "h"}, labels, store.Sum)
		count = func(path string) { vec.WithLabelValues(path).Inc() }
	case "histogram":
		vec := s.NewHistogramVec(prometheus.HistogramOpts{Name: "h", Help: "h"}, labels)
		count = func(path string) { vec.WithLabelValues(path).Observe(1) }
	case "long value": // the log fills before the cells
		vec := s.NewCounterVec(prometheus.CounterOpts{Name: "c", Help: "h"}, labels)
		count = func(path string) { vec.WithLabelValues(path + strings.Repeat("x", 1000)).Inc() }
	case "family": // without labels
		count = func(path string) {
			s.NewCounter(prometheus.CounterOpts{Name: "c" + filepath.Base(path), Help: "h"}).Inc()
		}
	case "four families": // each by a goroutine of its own
		var vecs [4]*prometheus.CounterVec
		for i := range vecs {
			vecs[i] = s.NewCounterVec(prometheus.CounterOpts{Name: fmt.Sprint("c", i), Help: "h"}, labels)
		}
		var all sync.WaitGroup
		for g, vec := range vecs {
			all.Go(func() {
				for i := g; i < n; i += len(vecs) {
					vec.WithLabelValues(fmt.Sprint("/item/", i)).Inc()
				}
			})
		}
		all.Wait()
	}
	for i := 0; count != nil && i < n; i++ {
		count(fmt.Sprint("/item/", i))
	}
	return syscall.Kill(os.Getpid(), syscall.SIGKILL)
}

// atOnce is how many processes make a burst at once: more than there are cores on many machines, so that
// a process waits for a core in the middle of its burst.
const atOnce = 8

// Each of many processes makes a burst of series, far more than there is room for at first, and kills
// itself right after. No series is lost, and no count.
func TestBurstOfSeriesThenSIGKILL(t *testing.T) {
	processes := effort.Rounds(10, 40, 1000)
	for _, c := range []struct {
		kind   string
		series int
	}{{"counter", 10}, {"counter", 1000}, {"counter", 10_000}, {"gauge", 1000}, {"histogram", 1000}, {"long value", 1000}, {"family", 1000}, {"four families", 1000}} {
		t.Run(fmt.Sprint(c.series, " of ", c.kind), func(t *testing.T) {
			dir, binary := memoryDir(t), plainBinary(t)
			var running sync.WaitGroup
			next := make(chan struct{}, processes)
			for range processes {
				next <- struct{}{}
			}
			close(next)
			for range atOnce {
				running.Go(func() {
					for range next {
						cmd := reexec.As("burst", exec.Command(binary, dir, strconv.Itoa(c.series), c.kind))
						if err := cmd.Run(); err == nil || cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
							t.Errorf("the process ended with %v", err)
							continue
						}
						names, _ := filepath.Glob(filepath.Join(dir, layout.Subdirectory, fmt.Sprintf("%d-*.mpm", cmd.Process.Pid)))
						names = slices.Compact(names) // the kernel may list a file twice, while other files are made and removed
						if len(names) != 1 {
							t.Errorf("the process has the files %v, want one", names)
							continue
						}
						checkBurst(t, names[0], c.series)
						os.Remove(names[0])
					}
				})
			}
			running.Wait()
		})
	}
}

// checkBurst checks that the file of a process has so many series, each with a count of one, and that
// the file of a small process is small.
func checkBurst(t *testing.T, path string, series int) {
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		t.Error(err)
		return
	}
	const block, most = 512, 64 << 10
	if disk := int64(st.Blocks) * block; series == 10 && disk > most {
		t.Errorf("%d series take %d bytes of disk, want at most %d", series, disk, most)
	}
	f, err := reader.Open(path)
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	values, err := f.Load()
	if err != nil {
		t.Error(err)
		return
	}
	counted := 0
	for _, e := range f.Entries() {
		n := float64(values[e.At])
		if f.Families()[e.Family].Type == layout.Gauge {
			n, _ = layout.DecodeGauge(values[e.At])
		}
		if n == 1 {
			counted++
		}
	}
	if made := len(f.Entries()); made != series || counted != series {
		t.Errorf("%d series, of which %d have counted, want %d", made, counted, series)
	}
}
