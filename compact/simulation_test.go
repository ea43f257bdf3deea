package compact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
	"github.com/mpmetrics/mpmetrics/internal/scan"
	"github.com/mpmetrics/mpmetrics/internal/testing/effort"
)

// The simulation: an owner, two compactors and a scraper do what ships, in a
// directory in memory, one step at a time and in every order, while a person removes
// compact.lock, or the directory.

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// simulation is one schedule of a scenario.
type simulation struct {
	*scenario
	*schedule
	control
	happened int // events of the history
	truth    []totals
	replaced int // how often the directory was
	outcome  outcome
	shown    []totals // by all scrapes
	left     [3]int   // files, temporary files and archives when all had ended
	cut      bool     // it came to a state that was explored before
	failed   error    // what the checker found first
}

// outcome is what a simulation says about itself.
type outcome struct{ scrapes, incomplete, crashes, pruned, gaveUp, steps int }

func (o *outcome) add(p outcome) {
	o.scrapes += p.scrapes
	o.incomplete += p.incomplete
	o.crashes += p.crashes
	o.pruned += p.pruned
	o.gaveUp += p.gaveUp
	o.steps += p.steps
}

// simulate runs one schedule to its end, and behind it an absorption that nobody
// disturbs.
func simulate(all troupe, s *scenario, c control, ch chooser) *simulation {
	x := &simulation{scenario: s, control: c, schedule: &schedule{memory: s.begin()}, truth: s.truth(nil, 0)}
	if s.absorbed {
		x.absorbFirst()
	}
	if s.waited {
		x.memory.pass(s.jump)
	}
	watcher := x.newScraper()
	x.join(all[0], "owner", x.own)
	x.join(all[1], "compactor 1", x.compact)
	x.join(all[2], "compactor 2", x.compact).twin = x.actors[1]
	x.join(all[3], "scraper", func(a *actor) {
		watcher.source.actor = a
		for range s.scrapes {
			watcher.scrape()
		}
	})
	if s.jumps > 0 {
		x.join(all[4], "clock", x.tick)
	}
	if len(s.person) > 0 {
		x.join(all[5], "person", x.interfere)
	}
	if x.cut = !x.run(ch); x.cut {
		return x
	}
	x.left = [3]int{len(x.memory.files), len(x.memory.temporary), int(bit(x.memory.archive != nil))}
	x.outcome.steps = len(x.steps)
	x.memory.pass(2 * directory.TemporaryAge)
	x.compact(&actor{name: "last"})
	watcher.source.actor = &actor{name: "scraper"}
	watcher.scrape()
	x.newScraper().scrape()
	x.checkFiles()
	x.fail(x.memory.broken)
	if x.outcome.incomplete > 0 && x.outcome.crashes == 0 && x.outcome.pruned == 0 && x.replaced == 0 && !x.memory.lost.begun {
		x.fail(errors.New("a scrape was not complete, without a crash and without pruning"))
	}
	return x
}

// absorbLockless absorbs at once, whatever is locked. Between the check of another
// one and its rename nothing but the locks could help.
func (x *simulation) absorbLockless() {
	if x.memory.deciding != nil {
		return
	}
	w := lockless{&memoryWorld{actor: &actor{name: "lockless"}, memory: x.memory}}
	x.memory.removals++
	if _, err := run(context.Background(), w, Opts{Limits: Limits{CoreShare: 1}, Logger: quiet}); err != nil {
		x.fail(err)
	}
}

// absorbFirst absorbs the first of the dead before anybody takes turns.
func (x *simulation) absorbFirst() {
	first := layout.FileName(1, idOf(1))
	all := x.memory.files
	x.memory.files = map[string]*memoryFile{first: all[first]}
	x.compact(&actor{name: "first"})
	delete(all, first)
	x.memory.files = all
}

func (x *simulation) fail(err error) {
	if x.failed == nil && err != nil {
		x.failed = err
	}
}

// own is the life of the owner.
func (x *simulation) own(a *actor) {
	for _, e := range x.history[1:] {
		if a.point(e.what) != nil {
			return
		}
		e.apply(x.memory)
		x.happened++
		x.memory.happened++
	}
}

// interfere is what a person does to the directory meanwhile.
func (x *simulation) interfere(a *actor) {
	for _, what := range x.person {
		if a.point(string(what)) != nil {
			return
		}
		switch what {
		case lockRemoved:
			x.memory.removeLock()
		case clockSet:
			x.memory.clock = x.memory.clock.Add(x.ahead)
		case clockRight:
			x.memory.clock = x.memory.clock.Add(-x.ahead)
		case archiveReplaced:
			x.absorbLockless()
		case archiveRemoved:
			x.memory.removeArchive()
		case directoryReplaced:
			x.memory.replace()
			x.truth = x.scenario.truth(x.truth, x.happened)
			x.replaced++
		}
	}
}

// tick lets time pass.
func (x *simulation) tick(a *actor) {
	for range x.jumps {
		if a.point("jump") != nil {
			return
		}
		x.memory.pass(x.jump)
	}
}

// compact is the life of a compactor.
func (x *simulation) compact(a *actor) {
	w := x.control.world(&memoryWorld{actor: a, memory: x.memory})
	for range x.runs {
		report, err := run(context.Background(), w, Opts{Limits: Limits{CoreShare: 1}, Logger: quiet})
		x.outcome.pruned += report.Pruned
		switch {
		case a.crashed:
			x.outcome.crashes++
			return
		case errors.Is(err, ErrChanged) && x.memory.removals > 0:
			x.outcome.gaveUp++
		case err != nil && !errors.Is(err, ErrBusy):
			x.fail(fmt.Errorf("%s: %w", a.name, err))
		}
	}
}

// checkFiles checks what is there in the end.
func (x *simulation) checkFiles() {
	var left []string
	for _, name := range x.memory.names(&actor{}) {
		if f := x.memory.files[name]; f == nil || !f.alive {
			left = append(left, name)
		}
	}
	slices.Sort(left)
	want := []string{layout.ArchiveName, layout.LockName}
	if x.memory.archive == nil {
		want = want[1:]
	}
	if !slices.Equal(left, want) || len(x.memory.quarantined) > 0 {
		x.fail(fmt.Errorf("files %v, want %v and those of the living; in quarantine %v", left, want, x.memory.quarantined))
	}
}

// scraper is a scraper that keeps what it learns from one scrape to the next.
type scraper struct {
	*simulation
	source  *memorySource
	scanner *scan.Scanner
	merger  *merge.Merger
	began   int // events that had happened; -1: not begun yet
	place   int // how often the directory was replaced before the last scrape
	last    totals

	restarted bool // the last scrape showed restarted totals
}

func (x *simulation) newScraper() *scraper {
	s := &scraper{simulation: x, merger: merge.New()}
	s.source = &memorySource{actor: &actor{name: "scraper"}, memory: x.memory, begins: func() {
		if s.began < 0 {
			s.began = x.happened
			s.source.seen.add(uint64(x.happened))
		}
	}}
	s.scanner = scan.New(scan.NewDirectory(x.control.source(s.source)), s.merger, quiet, func(error) {})
	return s
}

// scrape scrapes once, and checks what it shows.
func (s *scraper) scrape() {
	s.began = -1
	s.outcome.scrapes++
	place := s.replaced
	if s.scanner.Merge(context.Background()) != nil {
		s.outcome.incomplete++
		return
	}
	s.source.seen.add(uint64(s.happened))
	got := s.totals()
	s.simulation.shown = append(s.simulation.shown, got)
	if place != s.replaced {
		return // it shows parts of both
	}
	if place != s.place {
		s.place, s.last = place, totals{} // what was removed does not come back
	}
	a := s.scanner.Archive()
	restarted := a.Begun != 0 && s.memory.lost.ended
	if restarted != s.restarted {
		s.restarted, s.last = restarted, totals{}
	}
	err := check(s.truth, s.began, s.happened, got)
	if restarted {
		err = s.checkRestarted(s.memory.lost, s.began, s.happened, got)
	}
	if err != nil {
		s.fail(fmt.Errorf("scrape %d: %w", s.outcome.scrapes, err))
	}
	if got.float < s.last.float || got.whole < s.last.whole || got.kept < s.last.kept {
		s.fail(fmt.Errorf("scrape %d: %b is below %b", s.outcome.scrapes, got, s.last))
	}
	s.last = got
	if !restarted && (a.Begun != 0 || a.Aside > 0) || a.Quarantined+a.Forgotten+a.Unabsorbed > 0 {
		s.fail(fmt.Errorf("scrape %d: state of the archive %+v", s.outcome.scrapes, a.State))
	}
}

// totals are what the scrape shows.
func (s *scraper) totals() (t totals) {
	for _, f := range s.merger.Families() {
		series := f.Series[0]
		switch f.Name {
		case "float_total":
			t.float = s.merger.Counter(series)
		case "whole_total":
			t.whole = s.merger.Counter(series)
		case "kept":
			t.kept = series.Gauge()
		case "live":
			t.live = series.Gauge()
		}
	}
	return t
}

// report fails the test with what led there.
func (x *simulation) report(t *testing.T, from string) {
	t.Helper()
	t.Fatalf("%s: %v\ndead %v, owner's %v, clock jumps %v%v", from, x.failed, x.dead, x.lives, x.jump, x.schedule)
}

// explore runs all schedules of a scenario.
func explore(all troupe, s *scenario, c control, e *explorer, each func(*simulation) (more bool)) {
	for more := true; more; {
		more = each(simulate(all, s, c, e)) && e.next()
	}
}

func within(preemptions, crashes int) *explorer {
	return &explorer{preemptions: preemptions, crashes: crashes, visited: map[digest]struct{}{}}
}

// All schedules with up to two preemptions, and one crash of a compactor.
func TestSimulationEverySchedule(t *testing.T) {
	preemptions := 2
	if effort.Few() {
		preemptions = 1
	}
	for _, c := range []struct {
		name     string
		scenario *scenario
		explorer *explorer
	}{
		{name: "crash", scenario: small(), explorer: within(preemptions, 1)},
		{name: "pruning", scenario: pruning(), explorer: within(preemptions, 0)},
		{name: "lock removed", scenario: disturbed(lockRemoved), explorer: within(preemptions, 0)},
		{name: "clock behind", scenario: behind(), explorer: within(preemptions, 0)},
		{name: "lock removed before the first archive", scenario: first(lockRemoved), explorer: within(preemptions, 0)},
		{name: "directory replaced", scenario: disturbed(directoryReplaced), explorer: within(preemptions, 0)},
		// With a crash and two preemptions there are too many schedules.
		{name: "archive removed", scenario: lasting(), explorer: within(preemptions-1, 1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			n, cut := 0, 0
			var sum outcome
			explore(newTroupe(t), c.scenario, none, c.explorer, func(x *simulation) bool {
				n++
				if x.failed != nil {
					x.report(t, fmt.Sprintf("schedule %d", n))
				}
				if x.cut {
					cut++
				} else {
					sum.add(x.outcome)
				}
				return true
			})
			t.Logf("%d schedules, %d of them cut off where they came to what was tried before: %+v", n, cut, sum)
		})
	}
}

// Schedules at random, each of another scenario.
func TestSimulationRandomSchedules(t *testing.T) {
	t.Parallel()
	runs := effort.Rounds(2000, 20_000, 1_000_000)
	seed, all := rand.Uint64(), newTroupe(t)
	var sum outcome
	for run := range runs {
		x := gamble(all, none, seed, run)
		if x.failed != nil {
			x.report(t, fmt.Sprintf("seed %d, run %d", seed, run))
		}
		sum.add(x.outcome)
	}
	t.Logf("%d schedules: %+v", runs, sum)
}

// gamble runs a schedule at random, in half of them with time that passes and
// likewise with crashes.
func gamble(all troupe, c control, seed uint64, run int) *simulation {
	r := rand.New(rand.NewPCG(seed, uint64(run)))
	return simulate(all, random(r, run%4 < 2), c, newGambler(r, run%2 == 0))
}

// To cut schedules off loses nothing: what the scrapes of a scenario can show is
// the same without.
func TestSimulationCutOffLosesNothing(t *testing.T) {
	t.Parallel()
	crashes := 0
	if effort.Soak() {
		crashes = 1
	}
	all := newTroupe(t)
	shown := func(e *explorer) (outcomes map[string]bool, schedules int) {
		outcomes = map[string]bool{}
		explore(all, small(), none, e, func(x *simulation) bool {
			if schedules++; !x.cut {
				outcomes[fmt.Sprint(x.shown, x.left)] = true
			}
			return true
		})
		return outcomes, schedules
	}
	want, every := shown(&explorer{preemptions: 1, crashes: crashes})
	got, some := shown(within(1, crashes))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what scrapes show (-all schedules +without those cut off):\n%s", diff)
	}
	t.Logf("%d outcomes of %d and of %d schedules", len(want), every, some)
}
