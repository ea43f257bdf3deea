//go:build unix

package compact_test

import (
	"os"
	"path/filepath"
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

// dieAt makes a process that starts when the clock is wrong, and dies.
func dieAt(t testing.TB, dir string, start time.Time) {
	t.Helper()
	p, err := ownerfile.Create(sub(dir), layout.Header{PID: 1, ID: layout.NewID(), Start: start.UnixNano(), BootID: boot.ID()})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
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
			dieAt(t, dir, time.Now().Add(ahead))
			at(t, dir, ahead, 0)
			for minutes := range time.Duration(4) {
				passed := minutes * 25 * time.Minute
				at(t, dir, ahead+passed, passed)
			}
			if a := now.archive(dir); ahead > 2*time.Hour && a.Horizon < time.Now().Add(ahead/2).UnixNano() {
				t.Fatalf("horizon %v: no id of that time has left the archive", time.Unix(0, a.Horizon))
			}
			want := 1.0
			for minutes := range time.Duration(4) {
				living := open(t, dir, store.Opts{})
				living.NewCounter(prometheus.CounterOpts{Name: "n_total", Help: "h"}).Inc()
				die(t, dir, 1)
				want += 2
				now.want("n_total", want)
				end(t, living)
				now.want("n_total", want)
				at(t, dir, minutes*25*time.Minute, (4+minutes)*25*time.Minute)
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
	s := open(t, dir, store.Opts{})
	s.NewCounter(prometheus.CounterOpts{Name: "other_total", Help: "h"}).Inc()
	end(t, s)
	forgotten := 0
	for days := range time.Duration(20) {
		forgotten += at(t, dir, days*24*time.Hour, (3+days)*24*time.Hour).Forgotten
	}
	if forgotten != 1 {
		t.Errorf("%d series forgotten, want the one that was not touched in a year to come", forgotten)
	}
}
