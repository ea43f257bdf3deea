package compact

import (
	"context"
	"errors"
	"iter"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/archive"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/scan"
	"github.com/mpmetrics/mpmetrics/internal/testing/effort"
)

// control is a protocol with a mistake, which the checker has to find. The code
// is the one that ships: what it asks for is done in another order, or answered
// wrongly.
type control struct {
	world  func(*memoryWorld) world
	source func(*memorySource) scan.Disk
}

var none = control{theWorld, theSource}

func theWorld(w *memoryWorld) world { return w }

func theSource(s *memorySource) scan.Disk { return s }

// unlinkFirst removes what is absorbed before the rename.
type unlinkFirst struct {
	*memoryWorld
	absorbed []string
}

func (w *unlinkFirst) commit(_ context.Context, c change) (committed, error) {
	return commitSteps(w, c)
}

func (w *unlinkFirst) read(ctx context.Context, name string) (*process, error) {
	p, err := w.memoryWorld.read(ctx, name)
	if f := w.files[name]; err == nil && f != nil && !f.alive { // of the living only the counts are read
		w.absorbed = append(w.absorbed, name)
	}
	return p, err
}

func (w *unlinkFirst) publish(temporary string) error {
	for _, name := range w.absorbed {
		if err := w.remove(name); err != nil && !scan.Vanished(err) {
			return err
		}
	}
	w.absorbed = nil
	return w.memoryWorld.publish(temporary)
}

// exclusiveProbe probes with an exclusive lock, which others take for an owner's.
type exclusiveProbe struct{ *memoryWorld }

func (w exclusiveProbe) dead(name string) (bool, error) {
	dead, err := w.memoryWorld.dead(name)
	if err != nil || !dead {
		return dead, err
	}
	f := w.files[name]
	f.probed = w.actor
	err = w.point("let go")
	if err == nil {
		f.probed = nil
	}
	return true, err
}

// twoFloats keeps a float sum as the rounded sum and what the rounding left, as
// Neumaier does.
type twoFloats struct{ *memoryWorld }

func (w twoFloats) commit(_ context.Context, c change) (committed, error) { return commitSteps(w, c) }

func (w twoFloats) write(a *archive.Archive) (string, error) {
	return w.writeRecords(a, compensated(a.Records()))
}

func compensated(records iter.Seq2[[]byte, error]) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for payload, err := range records {
			if r, bad := layout.DecodeRecord(payload); bad == nil && r.Total != nil {
				var sum, rest float64
				for _, p := range r.Total.Parts { // in ascending order
					next := sum + p
					rest += sum - (next - p)
					sum = next
				}
				r.Total.Parts = []float64{rest, sum}
				payload = layout.AppendTotal(nil, r.Total)
			}
			if !yield(payload, err) {
				return
			}
		}
	}
}

// archiveFirst reads the archive before the files.
type archiveFirst struct {
	*memorySource
	early *archive.Archive
}

func (s *archiveFirst) Epoch() (uint32, error) {
	a, err := s.memorySource.Archive(s.early)
	if err != nil {
		return 0, err
	}
	s.begins()
	s.early = a
	return a.Epoch, nil
}

func (s *archiveFirst) Archive(*archive.Archive) (*archive.Archive, error) { return s.early, nil }

// cachedArchive goes on reading the archive that it opened first.
type cachedArchive struct {
	*memorySource
	kept *archive.Archive
}

func (s *cachedArchive) Epoch() (uint32, error) {
	epoch, err := s.memorySource.Epoch()
	if s.kept != nil {
		epoch = s.kept.Epoch
	}
	return epoch, err
}

func (s *cachedArchive) Archive(known *archive.Archive) (*archive.Archive, error) {
	a, err := s.memorySource.Archive(known)
	if err != nil || s.kept != nil {
		return s.kept, err
	}
	if a.Exists() {
		s.kept = a
	}
	return a, nil
}

// noRecheck has the same epoch always.
type noRecheck struct{ *memorySource }

func (s noRecheck) Epoch() (uint32, error) {
	_, err := s.memorySource.Epoch()
	return 1, err
}

func (s noRecheck) Archive(known *archive.Archive) (*archive.Archive, error) {
	a, err := s.memorySource.Archive(known)
	if err == nil {
		a.Epoch = 1
	}
	return a, err
}

// unchecked leaves one of the checks before the rename out.
type unchecked struct {
	*memoryWorld
	what error
}

func (w unchecked) commit(_ context.Context, c change) (committed, error) { return commitSteps(w, c) }

func (w unchecked) check() error {
	err := w.memoryWorld.check()
	if errors.Is(err, w.what) {
		return nil
	}
	return err
}

// byPath does not check the directory, and publishes and removes by its path.
type byPath struct{ unchecked }

func (w byPath) commit(_ context.Context, c change) (committed, error) { return commitSteps(w, c) }

func (w byPath) publish(temporary string) error {
	if err := w.point("rename"); err != nil {
		return err
	}
	return w.rename(w.memoryDir, temporary)
}

func (w byPath) remove(name string) error {
	if err := w.point("remove"); err != nil {
		return err
	}
	return w.memoryDir.remove(w.actor, name)
}

// archiveUnlocked does not lock the archive.
type archiveUnlocked struct{ *memoryWorld }

func (w archiveUnlocked) readArchive(ctx context.Context) (*archive.Archive, error) {
	a, err := w.memoryWorld.readArchive(ctx)
	if w.base != nil {
		w.base.holder = nil
	}
	return a, err
}

// firstRenamed gives the first archive its name by a rename too.
type firstRenamed struct{ *memoryWorld }

func (w firstRenamed) commit(_ context.Context, c change) (committed, error) {
	return commitSteps(w, c)
}

func (w firstRenamed) publish(temporary string) error {
	if err := w.point("rename"); err != nil {
		return err
	}
	return w.rename(w.dir, temporary)
}

// withoutBases takes no base of any process when totals restart.
type withoutBases struct{ *memoryWorld }

func (w withoutBases) damaged() int64 { return math.MinInt64 }

type controlCase struct {
	name        string
	scenario    *scenario
	preemptions int
	gambles     int
	control
}

// believesClock takes each clock for steady.
type believesClock struct{ *memoryWorld }

func (w believesClock) steady(time.Time, time.Duration) time.Duration { return math.MaxInt64 }

// nameless does not know the boot, and so no start by the uptime.
type nameless struct{ *memoryWorld }

func (w nameless) boot() string { return "" }

// A control is tried further while it was found this rarely, or tried so rarely.
const (
	enough = 10
	few    = 1000
)

// gamble runs a schedule at random: of the scenario if a person takes part in it, or
// of any.
func (c controlCase) gamble(all troupe, run int) *simulation {
	if len(c.scenario.person) == 0 {
		return gamble(all, c.control, 1, run)
	}
	return simulate(all, c.scenario, c.control, newGambler(rand.New(rand.NewPCG(1, uint64(run))), false))
}

// Every mistake is found, by few preemptions as well as at random.
func TestSimulationControls(t *testing.T) {
	for _, c := range []controlCase{
		{name: "unlink before rename", scenario: small(), preemptions: 1, gambles: 2000, control: control{func(w *memoryWorld) world { return &unlinkFirst{memoryWorld: w} }, theSource}},
		{name: "archive read first", scenario: small(), preemptions: 1, gambles: 2000, control: control{theWorld, func(s *memorySource) scan.Disk { return &archiveFirst{memorySource: s} }}},
		{name: "archive cached over a rename", scenario: small(), preemptions: 1, gambles: 2000, control: control{theWorld, func(s *memorySource) scan.Disk { return &cachedArchive{memorySource: s} }}},
		{name: "exclusive probe", scenario: small(), preemptions: 1, gambles: 2000, control: control{func(w *memoryWorld) world { return exclusiveProbe{w} }, theSource}},
		{name: "two floats", scenario: small(), preemptions: 1, gambles: 2000, control: control{func(w *memoryWorld) world { return twoFloats{w} }, theSource}},
		{name: "epoch not rechecked", scenario: pruning(), preemptions: 2, gambles: 20_000, control: control{theWorld, func(s *memorySource) scan.Disk { return noRecheck{s} }}},
		{name: "lock file not checked", scenario: disturbed(lockRemoved), preemptions: 1, gambles: 2000, control: control{func(w *memoryWorld) world { return unchecked{w, errLockLost} }, theSource}},
		{name: "clock believed at once", scenario: wrong(), preemptions: 1, gambles: 2000, control: control{func(w *memoryWorld) world { return believesClock{w} }, theSource}},
		{name: "starts by the wall clock", scenario: behind(), preemptions: 2, gambles: 20_000, control: control{func(w *memoryWorld) world { return nameless{w} }, theSource}},
		{name: "directory not checked", scenario: disturbed(directoryReplaced), preemptions: 1, gambles: 2000, control: control{func(w *memoryWorld) world { return byPath{unchecked{w, errDirLost}} }, theSource}},
		{name: "archive not checked", scenario: disturbed(archiveReplaced), preemptions: 1, gambles: 2000, control: control{func(w *memoryWorld) world { return unchecked{w, errArchiveLost} }, theSource}},
		{name: "archive not locked", scenario: disturbed(lockRemoved), preemptions: 2, gambles: 5000, control: control{func(w *memoryWorld) world { return archiveUnlocked{w} }, theSource}},
		{name: "no bases", scenario: lasting(), preemptions: 1, gambles: 2000, control: control{func(w *memoryWorld) world { return withoutBases{w} }, theSource}},
		{name: "first archive renamed", scenario: first(lockRemoved), preemptions: 2, gambles: 5000, control: control{func(w *memoryWorld) world { return firstRenamed{w} }, theSource}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.preemptions > 1 && effort.Few() {
				t.Skip("tens of thousands of schedules")
			}
			t.Parallel()
			all := newTroupe(t)
			var first *simulation
			found, tried := 0, 0
			explore(all, c.scenario, c.control, within(c.preemptions, 0), func(x *simulation) bool {
				tried++
				if x.failed != nil {
					found++
					if first == nil {
						first = x
					}
				}
				return found < enough || tried < few
			})
			if found == 0 {
				t.Fatalf("not found by any of %d schedules", tried)
			}
			lucky := 0
			for run := range c.gambles {
				if x := c.gamble(all, run); x.failed != nil {
					lucky++
				}
			}
			if lucky == 0 {
				t.Errorf("not found by any of %d schedules at random", c.gambles)
			}
			t.Logf("found by %d of %d schedules with %d preemptions at most, and by %d of %d at random; the first: %v%v",
				found, tried, c.preemptions, lucky, c.gambles, first.failed, first.schedule)
		})
	}
}
