package trial

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/testing/effort"
	"github.com/mpmetrics/mpmetrics/internal/testing/reexec"
	"github.com/mpmetrics/mpmetrics/store"
)

func init() { programs["fill"] = fill }

const (
	// fullSeries is how many series a goroutine makes: those of a process do not
	// fit into its first slabs, those of all into 4 MiB, spares included.
	fullSeries = 250
	fullPace   = 8 * time.Millisecond
	// fullDelay is when they begin: with the first of them a process makes a spare
	// slab, and by then there is to be no room.
	fullDelay = 2 * time.Second
)

// fill counts, in some goroutines, until its standard input ends, and makes new
// series. Each line that it writes says how much it has counted in all and how
// many series there are, at least; the last one also how long its calls took.
// args are the directory and the name of the writer.
func fill(args []string) error {
	s, err := store.Open(store.Opts{Location: args[0], NoAbsorption: true})
	if err != nil {
		return err
	}
	writer := prometheus.Labels{"writer": args[1]}
	counted := s.NewCounterVec(prometheus.CounterOpts{Name: "counted_total", Help: "Counts.", ConstLabels: writer}, []string{"goroutine"})
	made := s.NewCounterVec(prometheus.CounterOpts{Name: "made_total", Help: "Series.", ConstLabels: writer}, []string{"goroutine", "n"})
	done := ends()
	var total, series, longestInc, longestNew atomic.Int64
	longer := func(longest *atomic.Int64, begin time.Time) {
		took := int64(time.Since(begin))
		for {
			before := longest.Load()
			if took <= before || longest.CompareAndSwap(before, took) {
				return
			}
		}
	}
	for g := range goroutines {
		name := strconv.Itoa(g)
		c := counted.WithLabelValues(name)
		go func() {
			last := time.Now().Add(fullDelay)
			for n := 0; ; {
				for range 100 {
					begin := time.Now()
					c.Inc()
					longer(&longestInc, begin)
					total.Add(1)
				}
				if n < fullSeries && time.Since(last) > fullPace {
					last = time.Now()
					made.WithLabelValues(name, strconv.Itoa(n)).Inc()
					longer(&longestNew, last)
					series.Add(1)
					n++
				}
				// Eight processes of four goroutines on two cores: what is to be
				// measured is not the wait for a core.
				time.Sleep(2 * time.Millisecond)
			}
		}()
	}
	for {
		select {
		case <-done:
			fmt.Println(total.Load(), series.Load(), longestInc.Load(), longestNew.Load())
			select {} // until it is killed; it still counts
		case <-time.After(5 * time.Millisecond):
			fmt.Println(total.Load(), series.Load())
		}
	}
}

// filler is a child that fills, and what is known of it.
type filler struct {
	*child
	stderr         lockedBuffer
	counted        atomic.Int64 // acknowledged
	series         atomic.Int64
	slowInc, slowN time.Duration
	ended          chan struct{} // its last line was read
}

func newFiller(t *testing.T, dir, name string) *filler {
	t.Helper()
	f := &filler{ended: make(chan struct{})}
	cmd := reexec.Command("fill", dir, name)
	cmd.Stderr = &f.stderr
	f.child = &child{reexec.Run(t, cmd)}
	go func() {
		defer close(f.ended)
		for lines := bufio.NewScanner(f.Output()); lines.Scan(); {
			var n [4]int64
			fields, _ := fmt.Sscan(lines.Text(), &n[0], &n[1], &n[2], &n[3])
			f.counted.Store(n[0])
			f.series.Store(n[1])
			if fields == len(n) {
				f.slowInc, f.slowN = time.Duration(n[2]), time.Duration(n[3])
				return
			}
		}
	}()
	return f
}

// The file system fills up under eight processes. They go on as if nothing
// were; what needs no room stays exact, and what waited is there when there is
// room again.
func TestFullDisk(t *testing.T) {
	length := 4 * time.Second
	if effort.Soak() {
		length = time.Minute
	}
	t.Run("tmpfs", func(t *testing.T) { fullDisk(t, mountTmpfs(t, "4m"), length) })
	t.Run("ext4", func(t *testing.T) { fullDisk(t, mountDisk(t, 16<<20), length) })
}

func fullDisk(t *testing.T, dir string, length time.Duration) {
	const (
		children = 8
		slow     = 3 * time.Second // more is no wait for a core
	)
	fillers := make([]*filler, children)
	for i := range fillers {
		fillers[i] = newFiller(t, dir, strconv.Itoa(i))
	}
	c := collector.New(collector.Opts{Location: dir, NoAbsorption: true, Logger: silent})
	defer c.Close()
	var scrapes int
	var before float64
	// What is acknowledged when a scrape begins has to be in it. Series that are
	// not there yet are not asked for here.
	check := func(when string) (counted, series float64) {
		var want [children]float64
		for i, f := range fillers {
			want[i] = float64(f.counted.Load())
		}
		now := see(t, c)
		now.complete(t, when)
		scrapes++
		for i := range fillers {
			var got float64
			for g := range goroutines {
				got += now.samples[fmt.Sprintf("counted_total %d %d", g, i)]
			}
			if got < want[i] {
				t.Errorf("%s: writer %d has %v, %v were acknowledged", when, i, got, want[i])
			}
			counted += got
		}
		for name := range now.samples {
			if strings.HasPrefix(name, "made_total ") {
				series++
			}
		}
		if counted < before {
			t.Errorf("%s: from %v to %v", when, before, counted)
		}
		before = counted
		return counted, series
	}
	scrapeFor := func(when string, length time.Duration, meanwhile func()) (series float64) {
		for begin := time.Now(); time.Since(begin) < length && !t.Failed(); time.Sleep(2 * time.Millisecond) {
			meanwhile()
			_, series = check(when)
		}
		return series
	}
	for _, f := range fillers {
		for limit := time.Now().Add(10 * time.Second); f.counted.Load() == 0 && time.Now().Before(limit); {
			time.Sleep(time.Millisecond)
		}
	}
	scrapeFor("before", 300*time.Millisecond, func() {})

	w := &waster{path: filepath.Join(dir, "foreign")}
	w.waste(t)
	full := scrapeFor("full", length, func() { w.waste(t) })
	waiting := -full
	for _, f := range fillers {
		waiting += float64(f.series.Load())
	}
	if waiting < children {
		t.Errorf("%v series wait for room: it was not full", waiting)
	}
	w.file.Close() // or the space stays taken
	if err := os.Remove(w.path); err != nil {
		t.Fatal(err)
	}

	// Everything that was acknowledged until now, in some seconds.
	var want float64
	for _, f := range fillers {
		want += float64(f.series.Load())
	}
	begin := time.Now()
	for {
		_, series := check("room again")
		if series >= want {
			break
		}
		if time.Since(begin) > 10*time.Second {
			t.Errorf("%v of %v series are published", series, want)
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	recovered := time.Since(begin)

	var slowInc, slowNew time.Duration
	said := 0
	for i, f := range fillers {
		f.CloseInput()
		select {
		case <-f.ended:
		case <-time.After(10 * time.Second):
			t.Errorf("writer %d hangs", i)
		}
		f.Signal(unix.SIGKILL)
		if err := f.Cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Errorf("writer %d ended by itself: %v\n%s", i, err, f.stderr.String())
		}
		slowInc, slowNew = max(slowInc, f.slowInc), max(slowNew, f.slowN)
		if strings.Contains(f.stderr.String(), "no space left") {
			said++
		}
	}
	if max(slowInc, slowNew) > slow {
		t.Errorf("a call took %v, a new series %v", slowInc, slowNew)
	}
	if said == 0 {
		t.Error("nobody said that there is no room")
	}
	counted, series := check("in the end")
	t.Logf("%d processes, full for %v: %.0f counts, %.0f series, %.0f of which waited for room, and were there %v after there was; "+
		"%d said so; an Inc took %v at most, a new series %v; %d scrapes, all complete", children, length, counted, series, waiting,
		recovered.Round(time.Millisecond), said, slowInc, slowNew, scrapes)
}

// waster writes a file of somebody else for as long as there is room.
type waster struct {
	path string
	file *os.File
}

func (w *waster) waste(t *testing.T) {
	t.Helper()
	if w.file == nil {
		f, err := os.OpenFile(w.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		w.file = f
	}
	for _, size := range []int{1 << 20, 1 << 16, layout.PageSize} {
		for {
			_, err := w.file.Write(make([]byte, size))
			if errors.Is(err, unix.ENOSPC) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}
