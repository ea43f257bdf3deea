//go:build unix

package ownerfile

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/mapped"
	"github.com/mpmetrics/mpmetrics/internal/testing/effort"
)

// There are slowly more series while all are replaced again and again: no slab of a former log is
// large enough for the next log alone.
func TestLogsThatGrowSlowlyUseFormerSlabs(t *testing.T) {
	w := newWeek(t, 1)
	w.kind, w.value = 2, 10
	turns := effort.Rounds(20, 300, 1000)
	w.phase(time.Second, 2000, 0)
	for range turns {
		w.phase(time.Minute, len(w.living)+20, len(w.living)/60+1)
	}
	w.check()
	t.Logf("%d series, %d KiB held at once, the file %d KiB, %d slabs, log written anew %d times", len(w.living), w.most>>10, w.largest>>10, len(w.p.slabs), w.p.header.Generation)
}

// A population that goes up and down, to another height each time.
func TestLogsOfWavesUseFormerSlabs(t *testing.T) {
	w := newWeek(t, 1)
	w.kind, w.value = 2, 10
	for range effort.Rounds(4, 40, 200) {
		w.phase(5*time.Minute, 2000+w.random.IntN(4000), 10)
		w.phase(5*time.Minute, 200+w.random.IntN(1000), 10)
	}
	w.check()
	t.Logf("%d KiB held at once, the file %d KiB, %d slabs", w.most>>10, w.largest>>10, len(w.p.slabs))
}

// The living records need more slabs than one, of which none may have more than 64 MiB.
func TestLogLargerThanASlabIsRewritten(t *testing.T) {
	w := newWeek(t, 1)
	w.kind = 2
	value := strings.Repeat("x", 2<<20)
	series := layout.SlabBytes(layout.MaxSlabPages)/len(value) + 3
	add := func(gone *Run) { w.put(gone, w.families[1], value, layout.CounterWords) }
	for range series {
		add(nil)
	}
	for range series {
		gone := w.pick()
		add(&gone)
		w.second()
	}
	for range 61 {
		w.second()
	}
	if w.p.header.Generation == 0 {
		t.Error("the log was not rewritten")
	}
	w.check()
	t.Logf("%d MiB of living records, the file %d MiB, log written anew %d times", w.p.livingBytes>>20, w.largest>>20, w.p.header.Generation)
}

// The failed rewrite costs a copy of the log, so the next try comes a minute later.
func TestFailedRewriteIsNotTriedEachSecond(t *testing.T) {
	for name, failure := range map[string]error{"no memory": syscall.ENOMEM, "no room": syscall.ENOSPC} {
		t.Run(name, func(t *testing.T) {
			w := newWeek(t, 1)
			w.kind, w.value = 2, 10
			for range 1000 {
				w.add(nil)
			}
			tries, real := 0, w.p.mapWrite
			w.p.mapWrite = func(int, string, int64, int) (*mapped.Region, error) {
				tries++
				return nil, failure
			}
			for range 900 {
				r := w.pick()
				for !w.p.AppendGone(r, 1) {
					t.Fatal("no room for a gone record")
				}
				w.leave(r)
			}
			failed := 0
			for range 59 {
				if err := w.p.Rewrite(w.now); errors.Is(err, failure) {
					failed++
				} else if err != nil {
					t.Error(err)
				}
				w.now = w.now.Add(time.Second)
			}
			if failed != 1 || tries != 1 {
				t.Errorf("%d errors of %d tries in a minute, want 1 of 1", failed, tries)
			}
			w.check()
			w.p.mapWrite = real
			w.now = w.now.Add(2 * time.Second)
			w.turn() // Grow maps the slab
			if w.p.header.Generation != 1 {
				t.Errorf("generation %d, want 1 as soon as the cause is gone", w.p.header.Generation)
			}
			w.check()
		})
	}
}

// SIGKILL leaves the file as it is between any two stores. Each store of a rewrite over several slabs
// is followed by a look of a new reader: all living series are there, once.
func TestKilledAtAnyStepOfARewrite(t *testing.T) {
	w := newWeek(t, 1)
	w.kind, w.value = 2, 10
	p := w.p
	for range 8 { // slabs of former logs
		if err := p.write([]*slab{p.plan(layout.LogSlab, 1)}, false); err != nil {
			t.Fatal(err)
		}
		fresh, err := p.mapWritten()
		if err != nil {
			t.Fatal(err)
		}
		p.former.ready = append(p.former.ready, fresh...)
	}
	w.phase(time.Second, 600, 0)
	for r := w.pick(); ; r = w.pick() {
		for !p.AppendGone(r, 1) {
			grow(t, p)
		}
		p.Free(r)
		if len(w.living) == 300 {
			break
		}
	}
	from, end := mark{p.log.slabs[0], 0}, mark{p.log.current, p.log.used}
	deleted, err := p.deletedIn(from, end)
	if err != nil {
		t.Fatal(err)
	}
	next, err := p.beginLog(0)
	if err != nil {
		t.Fatal(err)
	}
	steps := 0
	step := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		steps++
		w.check()
	}
	copyIn := func(payload []byte, word uint64) error {
		if deleted.dead(payload) {
			return nil
		}
		err := p.copyIn(next, payload, word, 0)
		step(err)
		return err
	}
	step(p.walk(from, end, copyIn)) // 1
	w.kind = 1
	w.add(nil)
	step(p.catchUp(next, end, copyIn)) // 2
	w.add(nil)
	step(nil)
	if len(next.slabs) < 3 {
		t.Errorf("a log of %d slabs, want more for the test to mean something", len(next.slabs))
	}
	step(p.flip(next.slabs[0])) // 3
	w.add(nil)
	step(nil)
	p.goOnIn(next) // 4
	w.add(nil)
	step(nil)
	t.Logf("%d steps, %d slabs", steps, len(next.slabs))
}
