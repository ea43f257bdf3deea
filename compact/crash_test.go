//go:build unix

package compact_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/internal/archive"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
	"github.com/mpmetrics/mpmetrics/internal/scan"
	"github.com/mpmetrics/mpmetrics/store"
)

// An absorption crashes at each step, with a scraper that has scraped
// before, is in the middle of a scrape, or comes after, and with or without a
// second compactor that finishes. Every scrape shows the same bits, and the next
// absorption leaves the archive, its lock and the files of the living.
func TestAbsorptionCrashesAtEachStep(t *testing.T) {
	for _, crash := range compact.Crashes {
		t.Run(crash.Name, func(t *testing.T) {
			for _, when := range []string{"before", "during", "after"} {
				for compactors := 1; compactors <= 2; compactors++ {
					t.Run(fmt.Sprintf("scraper %s, compactors %d", when, compactors), func(t *testing.T) {
						crashCase(t, crash, when, compactors)
					})
				}
			}
		})
	}
}

func crashCase(t *testing.T, crash compact.Crash, when string, compactors int) {
	dir := t.TempDir()
	want := populate(t, dir)
	absorption := func() {
		crash.Run(t, dir, func() {
			if compactors == 2 && crash.Call != "lock" {
				if _, err := compact.Run(t.Context(), dir, compact.Opts{}); !errors.Is(err, compact.ErrBusy) {
					t.Errorf("second compactor beside the first: error %v, want ErrBusy", err)
				}
			}
		})
		if compactors == 2 {
			absorb(t, dir, compact.Opts{})
		}
	}
	s := newPausing(t, dir)
	switch when {
	case "before":
		s.want("before", want)
		absorption()
	case "during":
		s.pause = absorption
	case "after":
		absorption()
	}
	s.want(when, want)
	age(t, dir)
	absorb(t, dir, compact.Opts{})
	s.want("in the end", want)
	newPausing(t, dir).want("a new scraper in the end", want)
	wantNames(t, dir, 1)
	if q := quarantined(t, dir); len(q) > 0 {
		t.Errorf("in quarantine: %v", q)
	}
}

// An error of a sync forbids the unlinks: after a power cut the old archive may
// be there, and the files have to be there too.
func TestSyncErrorForbidsUnlinks(t *testing.T) {
	for _, call := range []string{"sync", "syncRename"} {
		t.Run(call, func(t *testing.T) {
			dir := t.TempDir()
			want := populate(t, dir)
			s := newPausing(t, dir)
			s.want("before", want)
			compact.RunFailing(t, dir, call)
			age(t, dir)
			left := slices.DeleteFunc(names(t, dir), layout.IsTemporary)
			if len(left) != compact.CrashDead+1 {
				t.Errorf("files %v, want all %d", left, compact.CrashDead+1)
			}
			s.want("behind the error", want)
			absorb(t, dir, compact.Opts{})
			s.want("in the end", want)
			wantNames(t, dir, 1)
		})
	}
}

// populate makes the dead and one that lives. The sum of floats depends on the
// order: 2⁵² and a half is a tie that the smallest decide.
func populate(t *testing.T, dir string) map[string]float64 {
	t.Helper()
	count := func(s *store.Store, float float64, bit int) {
		s.NewCounter(prometheus.CounterOpts{Name: "float_total", Help: "h"}).Add(float)
		s.NewCounter(prometheus.CounterOpts{Name: "whole_total", Help: "h"}).Add(math.Ldexp(1, bit))
		s.NewGauge(prometheus.GaugeOpts{Name: "kept", Help: "h"}, store.Sum).Set(math.Ldexp(1, bit))
		s.NewGauge(prometheus.GaugeOpts{Name: "live", Help: "h"}, store.LiveSum).Set(math.Ldexp(1, bit))
	}
	for bit, float := range [compact.CrashDead]float64{0x1p52, 0.5, 0x1p-55, 0x1p-55, 0x1p-55, 0x1p-55} {
		s := open(t, dir, store.Opts{})
		count(s, float, bit)
		end(t, s)
	}
	count(open(t, dir, store.Opts{}), 2, compact.CrashDead)
	const all = 1<<(compact.CrashDead+1) - 1
	return map[string]float64{"float_total": 0x1p52 + 3, "whole_total": all, "kept": all, "live": 1 << compact.CrashDead}
}

// age makes temporary files old enough to be removed.
func age(t *testing.T, dir string) {
	t.Helper()
	old := time.Now().Add(-2 * time.Minute)
	for _, name := range names(t, dir) {
		if layout.IsTemporary(name) {
			if err := os.Chtimes(filepath.Join(sub(dir), name), old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// pausing is a scraper that can be stopped between the files and the archive.
type pausing struct {
	scan.Local
	t       *testing.T
	pause   func() // done once there; nil: nothing
	scanner *scan.Scanner
	merger  *merge.Merger
}

func newPausing(t *testing.T, dir string) *pausing {
	s := &pausing{Local: scan.Local{Parent: dir}, t: t, merger: merge.New()}
	s.scanner = scan.New(scan.NewDirectory(s), s.merger, slog.New(slog.NewTextHandler(io.Discard, nil)), func(err error) { t.Error(err) })
	t.Cleanup(s.scanner.Close)
	return s
}

// Archive implements scan.Disk.
func (s *pausing) Archive(known *archive.Archive) (*archive.Archive, error) {
	if pause := s.pause; pause != nil {
		s.pause = nil
		pause()
	}
	return s.Local.Archive(known)
}

// want scrapes and compares, bit for bit.
func (s *pausing) want(what string, want map[string]float64) {
	s.t.Helper()
	if err := s.scanner.Merge(s.t.Context()); err != nil {
		s.t.Errorf("%s: %v", what, err)
	}
	got := map[string]float64{}
	for _, f := range s.merger.Families() {
		if _, ours := want[f.Name]; !ours {
			continue
		}
		if got[f.Name] = f.Series[0].Gauge(); f.Type == layout.Counter {
			got[f.Name] = s.merger.Counter(f.Series[0])
		}
	}
	bits := cmp.Comparer(func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) })
	if diff := cmp.Diff(want, got, bits); diff != "" {
		s.t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}
