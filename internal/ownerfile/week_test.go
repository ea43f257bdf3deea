//go:build unix

package ownerfile

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/reader"
	"github.com/mpmetrics/mpmetrics/internal/testing/effort"
)

// A week is a file whose series come and go, by a clock of its own: the background work has one
// turn each second.
type week struct {
	t        *testing.T
	p        *File
	random   *rand.Rand
	now      time.Time
	families [kinds]uint32
	cells    [kinds]int // of a series, by family
	living   []Run
	left     []departed
	held     int // bytes of living, and of left
	most     int // that was held at once
	made     int
	largest  int64   // size of the file
	worst    float64 // largest share of the bound
	kind     int     // of new series, plus one; 0: any
	value    int     // bytes of a label value, on average
}

// departed is a series that was deleted: its cells rest for a minute, and so does a log with its
// record.
type departed struct {
	bytes int
	at    time.Time
}

// weekRest is the rest, and the ticks before and after the rest.
const weekRest = time.Minute + 2*time.Second

// kinds are a gauge, a counter and a histogram.
const kinds = 3

func newWeek(t *testing.T, seed uint64) *week {
	dir, err := os.MkdirTemp("/dev/shm", "week")
	if err != nil {
		dir = t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	sub, err := directory.Ensure(dir, directory.Access{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := Create(sub, layout.Header{PID: uint32(os.Getpid()), ID: layout.NewID(), Start: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	w := &week{t: t, p: p, random: rand.New(rand.NewPCG(seed, 0)), now: time.Unix(1e9, 0)}
	for i := range kinds {
		f := &layout.Family{Type: [kinds]layout.Type{layout.Gauge, layout.Counter, layout.Histogram}[i], Name: fmt.Sprint("f", i), LabelNames: []string{"id"}}
		switch f.Type {
		case layout.Gauge:
			f.Mode = layout.Sum
		case layout.Histogram:
			f.Bounds = []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
		}
		w.cells[i] = f.CellWords()
		w.families[i], _ = p.AppendFamily(f)
	}
	return w
}

// turn is a turn of the background work.
func (w *week) turn() {
	if err := w.p.Grow(); err != nil {
		w.t.Fatal(err)
	}
	if err := w.p.Recycle(w.now, time.Minute); err != nil {
		w.t.Fatal(err)
	}
	if err := w.p.Rewrite(w.now); err != nil {
		w.t.Fatal(err)
	}
}

func (r *Run) bytes() int { return int(r.record) + int(r.words)*layout.WordBytes }

// add makes a series, in the place of another one unless that is nil.
func (w *week) add(gone *Run) {
	w.made++
	i := w.kind - 1
	if i < 0 {
		i = w.random.IntN(kinds)
	}
	w.put(gone, w.families[i], fmt.Sprintf("%d %s", w.made, strings.Repeat("x", w.random.IntN(2*w.value+1))), w.cells[i])
}

// put makes a series with a label value, in the place of another series unless nil, as soon as there is
// room.
func (w *week) put(gone *Run, family uint32, value string, cells int) {
	for {
		r, ok := w.p.ReplaceSeries(gone, family, 1, []string{value}, cells, func([]atomic.Uint64) {})
		if ok {
			w.living = append(w.living, r)
			w.held += r.bytes()
			break
		}
		w.turn()
	}
	if gone != nil {
		w.leave(*gone)
	}
}

// remove deletes a series.
func (w *week) remove() {
	r := w.pick()
	for !w.p.AppendGone(r, 1) {
		w.turn()
	}
	w.leave(r)
}

func (w *week) leave(r Run) {
	const goneBytes = 32 // of the gone record, which rests as long
	w.p.Free(r)
	w.held += goneBytes
	w.left = append(w.left, departed{r.bytes() + goneBytes, w.now})
}

// pick takes any of the living series out.
func (w *week) pick() Run {
	i, last := w.random.IntN(len(w.living)), len(w.living)-1
	r := w.living[i]
	w.living[i] = w.living[last]
	w.living = w.living[:last]
	return r
}

// second lets a second pass, and looks at the file.
func (w *week) second() {
	w.turn()
	w.most = max(w.most, w.held)
	n := 0
	for ; n < len(w.left) && w.now.Sub(w.left[n].at) >= weekRest; n++ {
		w.held -= w.left[n].bytes
	}
	w.left = w.left[n:]
	w.now = w.now.Add(time.Second)
	info, err := os.Stat(w.p.Path())
	if err != nil {
		w.t.Fatal(err)
	}
	w.largest = max(w.largest, info.Size())
	bound := 4*w.most + 1<<20
	w.worst = max(w.worst, float64(info.Size())/float64(bound))
	if info.Size() > int64(bound) {
		w.t.Fatalf("%v: the file has %d KiB, %d KiB were held at once; generation %d, %d series made; log slabs %d KiB, cells %d KiB",
			w.now.Sub(time.Unix(1e9, 0)), info.Size()>>10, w.most>>10, w.p.header.Generation, w.made, w.p.bytesOf(layout.LogSlab)>>10, w.p.bytesOf(layout.CellSlab)>>10)
	}
}

// check compares what a reader sees with the living series.
func (w *week) check() {
	r, err := reader.Open(w.p.Path())
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Load(); err != nil {
		w.t.Fatal(err)
	}
	if got := len(r.Entries()) - r.Gone(); got != len(w.living) {
		w.t.Errorf("a reader sees %d series, %d live", got, len(w.living))
	}
}

// phase is some time of one habit: so many series live at its end, and so many are replaced each
// second meanwhile.
func (w *week) phase(length time.Duration, population, churn int) {
	seconds := max(1, int(length/time.Second))
	from := len(w.living)
	for s := range seconds {
		for range churn {
			if len(w.living) > 0 {
				gone := w.pick()
				w.add(&gone)
			}
		}
		want := from + (population-from)*(s+1)/seconds
		for len(w.living) < want {
			w.add(nil)
		}
		for len(w.living) > want {
			w.remove()
		}
		w.second()
	}
}

// In a week of bursts, waves, slow growth and collapse the file never has more than four times what
// lived within a minute, records and cells, and 1 MiB.
func TestSizeOfTheFileInAWeekOfChurn(t *testing.T) {
	seed := rand.Uint64()
	w := newWeek(t, seed)
	length, most := 7*24*time.Hour, 2_000_000
	if effort.Few() {
		length, most = 3*time.Hour, 100_000
	}
	for begin := w.now; w.now.Sub(begin) < length; {
		rest := length - w.now.Sub(begin)
		phase := min(rest, time.Duration(w.random.Int64N(int64(length/50)))+time.Second)
		w.kind = w.random.IntN(kinds + 1)
		w.value = []int{10, 10, 30, 100, 1000, 20_000, 300_000}[w.random.IntN(7)]
		population := w.random.IntN(min(20_000, most/100, 4<<20/w.value)) >> w.random.IntN(8)
		affordable := float64(most) / length.Seconds() * 2
		churn := int(w.random.ExpFloat64() * affordable / float64(1+w.value/100))
		if w.random.IntN(8) == 0 { // all at once, for a moment
			seconds := 1 + w.random.IntN(90)
			phase, churn = min(rest, time.Duration(seconds)*time.Second), w.random.IntN(1+min(5_000, most/1000, 8<<20/w.value/seconds))
		}
		w.phase(phase, population, churn)
		w.check()
	}
	t.Logf("seed %d: %d series made, %d KiB held at once, the largest file %d KiB, %.2f of the bound; log written anew %d times, %d slabs",
		seed, w.made, w.most>>10, w.largest>>10, w.worst, w.p.header.Generation, len(w.p.slabs))
}
