//go:build unix

package compact_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/internal/boot"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/ownerfile"
	"github.com/mpmetrics/mpmetrics/store"
)

const year = 365 * 24 * time.Hour

// at absorbs when so much time has passed by the wall clock, and by the clock that
// nobody can set.
func at(t testing.TB, dir string, wall, uptime time.Duration) compact.Report {
	t.Helper()
	report, err := compact.Clocks(t, dir, wall, uptime).Run(t.Context(), compact.Opts{})
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Quarantined) > 0 {
		t.Errorf("in quarantine: %v", report.Quarantined)
	}
	return report
}

// startedAt is the header of a process that starts when so much time has passed by the wall clock,
// and by the clock that nobody can set.
func startedAt(t testing.TB, wall, uptime time.Duration) layout.Header {
	t.Helper()
	name, _, _ := strings.Cut(boot.ID(), "@")
	now := time.Now()
	moment := now.Add(wall - boot.Uptime() - uptime)
	return layout.Header{PID: 1, ID: layout.NewID(), Start: now.Add(wall).UnixNano(), BootID: name + boot.At(moment)}
}

// liveAs makes a process with a header, which counts 1.
func liveAs(t testing.TB, dir, counter string, h layout.Header) *ownerfile.File {
	t.Helper()
	if err := os.MkdirAll(sub(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	p, err := ownerfile.Create(sub(dir), h)
	if err != nil {
		t.Fatal(err)
	}
	f := &layout.Family{Type: layout.Counter, Name: counter, Help: "h"}
	number, ok := p.AppendFamily(f)
	if !ok || !p.AppendSeries(number, h.Start, nil, f.CellWords(), func(cells []atomic.Uint64) { cells[0].Store(1) }) {
		t.Fatal("no room for a series")
	}
	return p
}

// dieAs makes such a process, which dies.
func dieAs(t testing.TB, dir, counter string, h layout.Header) {
	t.Helper()
	if err := liveAs(t, dir, counter, h).Close(); err != nil {
		t.Fatal(err)
	}
}

// The clock is behind for a while, as on a machine without a battery, and ids of processes have left
// the archive before. Jobs that start and die meanwhile, and that no absorption sees alive, count.
func TestClockBehind(t *testing.T) {
	if boot.Uptime() == 0 {
		t.Skip("this system has no clock that nobody can set")
	}
	for name, behind := range map[string]time.Duration{"two hours": 2 * time.Hour, "a year": year, "since 1970": time.Since(time.Unix(0, 0)) - time.Hour} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			die(t, dir, 1)
			now := watch(t, collector.Opts{Location: dir})
			at(t, dir, 0, 0)
			for minutes := range time.Duration(4) {
				at(t, dir, minutes*25*time.Minute, minutes*25*time.Minute)
			}
			if now.archive(dir).Horizon == 0 {
				t.Fatal("no id has left the archive")
			}
			want := 1.0
			for minutes := range time.Duration(4) {
				wall, uptime := (minutes+5)*25*time.Minute-behind, (minutes+5)*25*time.Minute
				dieAs(t, dir, "n_total", startedAt(t, wall, uptime))
				want++
				at(t, dir, wall+time.Minute, uptime+time.Minute)
				now.want("n_total", want)
			}
			dieAs(t, dir, "n_total", startedAt(t, 12*25*time.Minute-behind, 12*25*time.Minute))
			want++
			now.want("n_total", want)
			at(t, dir, 13*25*time.Minute, 13*25*time.Minute) // the clock is right again
			now.want("n_total", want)
			if got := total(t, dir); got != want {
				t.Errorf("a new collector shows %v, want %v", got, want)
			}
		})
	}
}

// The clock is behind from the boot on. The archive is of the boot before, and has the values of all
// processes of that boot.
func TestClockBehindAfterAnotherBoot(t *testing.T) {
	if boot.Uptime() == 0 {
		t.Skip("this system has no clock that nobody can set")
	}
	dir := t.TempDir()
	before := startedAt(t, 0, 0)
	before.BootID = "before@1000"
	dieAs(t, dir, "n_total", before)
	for minutes := range time.Duration(5) {
		passed := minutes * 25 * time.Minute
		if _, err := compact.Clocks(t, dir, passed, passed).In(before.BootID).Run(t.Context(), compact.Opts{}); err != nil {
			t.Fatal(err)
		}
	}
	now := watch(t, collector.Opts{Location: dir})
	now.want("n_total", 1)
	if now.archive(dir).Horizon == 0 {
		t.Fatal("no id has left the archive")
	}
	dieAs(t, dir, "n_total", startedAt(t, -year, 0))
	now.want("n_total", 2)
	at(t, dir, -year, time.Minute)
	dieAs(t, dir, "n_total", startedAt(t, -year, 2*time.Minute))
	now.want("n_total", 3)
	at(t, dir, -year, 3*time.Minute)
	now.want("n_total", 3)
	if got := total(t, dir); got != 3 {
		t.Errorf("a new collector shows %v, want 3", got)
	}
}

// The file of a process that left the archive comes back from a backup. The clock was wrong when the
// process began, or is wrong now: the process does not count twice.
func TestBackupWhileTheClockIsWrong(t *testing.T) {
	if boot.Uptime() == 0 {
		t.Skip("this system has no clock that nobody can set")
	}
	for name, clock := range map[string]struct{ then, now time.Duration }{
		"behind then": {then: -year},
		"behind now":  {now: -year},
		"ahead then":  {then: time.Hour},
		"ahead now":   {now: year},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			header := startedAt(t, clock.then, 0)
			dieAs(t, dir, "n_total", header)
			now := watch(t, collector.Opts{Location: dir})
			now.want("n_total", 1)
			at(t, dir, clock.then, time.Minute)
			for minutes := range time.Duration(10) {
				passed := minutes * 25 * time.Minute
				at(t, dir, passed, passed)
			}
			if now.archive(dir).AbsorbedIDs() > 0 {
				t.Fatal("no id has left the archive")
			}
			dieAs(t, dir, "n_total", header)
			passed := 11 * 25 * time.Minute
			report, err := compact.Clocks(t, dir, clock.now+passed, passed).Run(t.Context(), compact.Opts{})
			if err != nil || len(report.Quarantined) != 1 || report.Quarantined[0].Reason != "returned" {
				t.Errorf("%v, %v; want one file of a process that returned", report, err)
			}
			now.want("n_total", 1)
		})
	}
}

// The clock is ahead for so long that the ids of processes of that time leave the
// archive. Then it is put right: jobs are counted, also those that absorptions never
// see alive.
func TestClockAheadForMoreThanAnHour(t *testing.T) {
	for name, ahead := range map[string]time.Duration{"a year": year, "a day": 24 * time.Hour, "two hours": 2 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			die(t, dir, 1)
			now := watch(t, collector.Opts{Location: dir})
			at(t, dir, 0, 0)
			dieAs(t, dir, "n_total", startedAt(t, ahead, 0))
			at(t, dir, ahead, 0)
			for minutes := range time.Duration(4) {
				passed := minutes * 25 * time.Minute
				at(t, dir, ahead+passed, passed)
			}
			if a := now.archive(dir); ahead > 2*time.Hour && a.Horizon < time.Now().Add(ahead/2).UnixNano() {
				t.Fatalf("horizon %v: no id of that time has left the archive", time.Unix(0, a.Horizon))
			}
			want := 2.0
			for n := range time.Duration(4) {
				wall, uptime := n*25*time.Minute, (4+n)*25*time.Minute
				living := liveAs(t, dir, "n_total", startedAt(t, wall, uptime))
				dieAs(t, dir, "n_total", startedAt(t, wall, uptime))
				want += 2
				now.want("n_total", want)
				if err := living.Close(); err != nil {
					t.Fatal(err)
				}
				now.want("n_total", want)
				at(t, dir, wall, uptime)
				now.want("n_total", want)
			}
			if got := total(t, dir); got != want {
				t.Errorf("a new collector shows %v, want %v", got, want)
			}
			// The horizon is not believed, and is lowered: in a year nobody is taken for a
			// process of the wrong time.
			if a := now.archive(dir); a.Horizon > time.Now().Add(time.Hour).UnixNano() {
				t.Errorf("horizon %v", time.Unix(0, a.Horizon))
			}
		})
	}
}

// The clock is wrong for one absorption, or for the absorptions of an hour: no
// series is forgotten, and no sample of the dead leaves.
func TestClockWrongForAMoment(t *testing.T) {
	for name, wrong := range map[string][]time.Duration{
		"a year ahead for a second":  {0},
		"a year ahead for an hour":   {0, 20 * time.Minute, 40 * time.Minute, 59 * time.Minute},
		"a year ahead for two looks": {0, 22 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir, store.Opts{Process: "job"})
			s.NewGauge(prometheus.GaugeOpts{Name: "g", Help: "h"}, store.All).Set(7)
			s.NewCounter(prometheus.CounterOpts{Name: "n_total", Help: "h"}).Add(5)
			end(t, s)
			now := watch(t, collector.Opts{Location: dir})
			at(t, dir, 0, 0)
			for _, passed := range wrong {
				report := at(t, dir, year+passed, passed)
				if report.Forgotten > 0 || report.Expired > 0 && passed < time.Hour {
					t.Errorf("after %v: %v", passed, report)
				}
				now.want("n_total", 5)
			}
			passed := wrong[len(wrong)-1]
			for range 3 {
				if report := at(t, dir, passed, passed); report.Forgotten > 0 || report.Expired > 0 {
					t.Errorf("the clock is right again: %v", report)
				}
			}
			now.want("n_total", 5)
		})
	}
}

// An unfinished file that was written while the clock was ahead does not stay for a
// year.
func TestTemporaryFileOfTheFuture(t *testing.T) {
	dir := t.TempDir()
	die(t, dir, 1)
	path := filepath.Join(sub(dir), layout.ArchiveTemporary(layout.NewID()))
	write(t, path, nil)
	if err := os.Chtimes(path, time.Now().Add(year), time.Now().Add(year)); err != nil {
		t.Fatal(err)
	}
	if report := absorb(t, dir, compact.Opts{}); report.Temporary != 1 {
		t.Errorf("report %+v", report)
	}
}

// Samples of the dead that left while the clock was wrong leave an hour after it
// was put right, not a year.
func TestSamplesOfAWrongTimeLeave(t *testing.T) {
	dir := t.TempDir()
	die(t, dir, 1)
	at(t, dir, 0, 0)
	s := open(t, dir, store.Opts{Process: "job"})
	s.NewGauge(prometheus.GaugeOpts{Name: "g", Help: "h"}, store.All).Set(7)
	end(t, s)
	now := watch(t, collector.Opts{Location: dir})
	at(t, dir, year, 0)
	now.want("g", 7)
	expired := 0
	for hours := range time.Duration(4) {
		expired += at(t, dir, hours*time.Hour, hours*time.Hour).Expired
	}
	if expired != 1 {
		t.Errorf("%d processes expired, want 1", expired)
	}
	now.want("g", -1)
}

// A search for old series in a wrong future does not forbid all searches until
// then.
func TestSearchesGoOnAfterAWrongTime(t *testing.T) {
	dir := t.TempDir()
	die(t, dir, 1)
	at(t, dir, 0, 0)
	living := open(t, dir, store.Opts{})
	living.NewCounter(prometheus.CounterOpts{Name: "n_total", Help: "h"}).Inc()
	for days := range time.Duration(3) {
		at(t, dir, year+days*24*time.Hour, days*24*time.Hour) // looks, and finds that all series live
	}
	end(t, living)
	dieAs(t, dir, "other_total", startedAt(t, 0, 3*24*time.Hour))
	forgotten := 0
	for days := range time.Duration(20) {
		forgotten += at(t, dir, days*24*time.Hour, (3+days)*24*time.Hour).Forgotten
	}
	if forgotten != 1 {
		t.Errorf("%d series forgotten, want the one that was not touched in a year to come", forgotten)
	}
}
