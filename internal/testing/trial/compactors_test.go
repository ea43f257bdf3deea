//go:build unix

package trial

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/testing/effort"
)

// idlePause is how long a compactor waits that found nothing to do, so that
// those who count get a core.
const idlePause = 2 * time.Millisecond

// compactForever absorbs for ever: args are the directory and MinDead. It writes
// a line for each absorption: what came of it, when it held the lock, how many
// processes it absorbed, and how many files it removed for one that was killed.
func compactForever(args []string) error {
	minDead, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	for {
		held := &underLock{Context: context.Background()}
		report, err := compact.Run(held, args[0], compact.Opts{Limits: compact.Limits{CoreShare: 1}, MinDead: minDead})
		outcome := "run"
		switch {
		case errors.Is(err, compact.ErrBusy):
			outcome = "busy"
		case errors.Is(err, fs.ErrNotExist) && report.Absorbed == 0: // nobody has counted yet
		case err != nil:
			return err
		case len(report.Left)+len(report.Quarantined) > 0:
			return fmt.Errorf("left %v, quarantined %v", report.Left, report.Quarantined)
		}
		if _, err := fmt.Println(outcome, held.first, held.last, report.Absorbed, report.Removed); err != nil {
			os.Exit(0) // the test has ended
		}
		if report.Absorbed == 0 {
			time.Sleep(idlePause)
		}
	}
}

// underLock is a context that notes when it was asked. An absorption asks
// between files, and so only while it holds the lock.
type underLock struct {
	context.Context
	first, last int64 // on a clock that all processes share; 0: never
}

func (u *underLock) Err() error {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return err
	}
	u.last = now.Nano()
	if u.first == 0 {
		u.first = u.last
	}
	return nil
}

// absorption is a line of a compactor.
type absorption struct {
	outcome           string
	first, last       int64
	absorbed, removed int
}

// absorptions reads the lines of a compactor to their end.
func absorptions(t testing.TB, output *bufio.Reader) (all []absorption) {
	for lines := bufio.NewScanner(output); lines.Scan(); {
		var a absorption
		if _, err := fmt.Sscan(lines.Text(), &a.outcome, &a.first, &a.last, &a.absorbed, &a.removed); err != nil {
			t.Errorf("compactor wrote %q: %v", lines.Text(), err)
		}
		all = append(all, a)
	}
	return all
}

// absorbRest absorbs what is left.
func absorbRest(t testing.TB, dir string) compact.Report {
	t.Helper()
	report, err := compact.Run(context.Background(), dir, compact.Opts{Limits: compact.Limits{CoreShare: 1}, Logger: silent})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// Real processes: three compactors at once are killed at random points,
// over and over, under writers that come and go and a scrape that never stops.
func TestSIGKILLOfCompactors(t *testing.T) {
	kills := effort.Rounds(100, 500, 10_000)
	const (
		compactors = 3
		writers    = 2
		perChild   = 8 // processes
	)
	dir, l := t.TempDir(), newLedger() // where a sync takes its time
	done := make(chan struct{})
	var scraping, counting sync.WaitGroup
	o := newObserver(t, l, collector.Opts{Location: dir, NoAbsorption: true})
	scraping.Go(func() { o.until(t, done) })
	var stop atomic.Bool
	for range writers {
		counting.Go(func() {
			for n := 0; !stop.Load(); n++ {
				l.child(t, dir, perChild, n%2 == 0)
			}
		})
	}
	var mu sync.Mutex
	var all []absorption
	numbers := make(chan int)
	var wg sync.WaitGroup
	for range compactors {
		wg.Go(func() {
			for range numbers {
				c := start(t, "compact", dir, "0")
				first, err := c.Output().Peek(1)
				if err != nil {
					t.Errorf("compactor wrote nothing: %q, %v", first, err)
					return
				}
				time.Sleep(rand.N(40 * time.Millisecond)) // any point will do
				c.Signal(syscall.SIGKILL)
				lines := absorptions(t, c.Output())
				c.ended(t)
				mu.Lock()
				all = append(all, lines...)
				mu.Unlock()
			}
		})
	}
	for n := range kills {
		numbers <- n
	}
	close(numbers)
	wg.Wait()
	stop.Store(true)
	counting.Wait()
	close(done)
	scraping.Wait()

	last := absorbRest(t, dir)
	if n := len(processFiles(t, dir)); n > 0 {
		t.Errorf("%d files are left", n)
	}
	l.check(t, o.scrape(t))
	fresh := newObserver(t, l, collector.Opts{Location: dir, NoAbsorption: true})
	l.check(t, fresh.scrape(t))
	absorbed, removed := last.Absorbed, last.Removed
	for _, a := range all {
		absorbed, removed = absorbed+a.absorbed, removed+a.removed
	}
	t.Logf("%d kills of compactors, within the last minute %d of them while they wrote an archive; %d processes, %d absorbed by those that were not killed meanwhile, "+
		"%d files removed for those that were; %d scrapes, the slowest %v",
		kills, len(temporaries(t, dir)), l.counted.Load(), absorbed, removed, o.scrapes, o.slowest)
}

// temporaries are the names of the files that somebody was killed over. Those
// younger than a minute are not touched.
func temporaries(t testing.TB, dir string) (names []string) {
	for _, name := range listing(t, dir) {
		if layout.IsTemporary(name) {
			names = append(names, name)
		}
	}
	return names
}

// Of several compactors one is at work at any time, whatever their number.
func TestOneOfManyCompactorsAtATime(t *testing.T) {
	length := time.Duration(effort.Rounds(200, 1000, 60_000)) * time.Millisecond
	for _, compactors := range []int{2, 3, 5, 8} {
		t.Run(strconv.Itoa(compactors), func(t *testing.T) { manyCompactors(t, compactors, length) })
	}
}

func manyCompactors(t *testing.T, compactors int, length time.Duration) {
	// More than a batch: an absorption that does something asks its context
	// before and after it has written, renamed and removed.
	const minDead = 300
	const perChild = 100
	dir, l := memoryDir(t), newLedger()
	o := newObserver(t, l, collector.Opts{Location: dir, NoAbsorption: true})
	done := make(chan struct{})
	var stop atomic.Bool
	var scraping, counting, compacting sync.WaitGroup
	scraping.Go(func() { o.until(t, done) })
	// A collector that knows a process as dead does not probe it again; a new one
	// probes them all, in the middle of what the compactors do to their files.
	fresh := 0
	scraping.Go(func() {
		for ; !stop.Load(); fresh++ {
			f := newObserver(t, l, collector.Opts{Location: dir, NoAbsorption: true})
			f.scrape(t)
			_ = f.close()
		}
	})
	children := make([]*child, compactors)
	lines := make([][]absorption, compactors)
	for i := range children {
		children[i] = start(t, "compact", dir, strconv.Itoa(minDead))
		compacting.Go(func() { lines[i] = absorptions(t, children[i].Output()) })
	}
	counting.Go(func() {
		for n := 0; !stop.Load(); n++ {
			l.child(t, dir, perChild, n%2 == 0)
		}
	})
	// On a busy machine it takes longer until enough have died for anything to
	// be absorbed.
	enough := int64(effort.Rounds(minDead+perChild, 3*minDead, 3*minDead))
	for begin := time.Now(); time.Since(begin) < length || l.deaths.Load() < enough && time.Since(begin) < length+20*time.Second; {
		time.Sleep(length / 100)
	}
	stop.Store(true)
	counting.Wait()
	for _, c := range children {
		c.Signal(syscall.SIGKILL)
	}
	compacting.Wait()
	for _, c := range children {
		c.ended(t)
	}
	close(done)
	scraping.Wait()

	var held []absorption
	var busy, absorbed int
	for _, a := range slices.Concat(lines...) {
		absorbed += a.absorbed
		switch {
		case a.outcome == "busy":
			busy++
			if a.first != 0 {
				t.Error("a compactor without the lock looked at files")
			}
		case a.first != 0:
			held = append(held, a)
		}
	}
	slices.SortFunc(held, func(a, b absorption) int { return int(a.first - b.first) })
	for i, a := range held[min(len(held), 1):] {
		if before := held[i]; a.first <= before.last {
			t.Errorf("two at work: %+v and %+v", before, a)
		}
	}
	if absorbed == 0 || busy == 0 {
		t.Errorf("%d processes were absorbed, %d times another was at work: this shows nothing", absorbed, busy)
	}
	rest := absorbRest(t, dir)
	l.check(t, o.scrape(t))
	t.Logf("%d times one was at work, %d times another was; %d processes, %d absorbed meanwhile and %d in the end; %d scrapes, the slowest %v, and %d by a new collector each",
		len(held), busy, l.counted.Load(), absorbed, rest.Absorbed, o.scrapes, o.slowest, fresh)
}
