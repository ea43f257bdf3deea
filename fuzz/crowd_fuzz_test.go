//go:build unix

package fuzz

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/testing/damage"
)

// FuzzScrape lets the fuzzer fill a directory, change it, and look at it twice
// with one collector: whatever is there, the living and the sound have their
// exact values, or there is no total at all.
func FuzzScrape(f *testing.F) {
	c := newCrowd(f)
	for _, script := range c.seeds() {
		f.Add(script, script[:len(script)/2])
		f.Add([]byte{}, script)
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		c := c.in(t)
		watcher := collector.New(collector.Opts{Location: c.dir, NoAbsorption: true, Logger: silent})
		defer watcher.Close()
		r := prometheus.NewRegistry()
		r.MustRegister(watcher)
		before := c.arrange(first)
		c.check("first scrape", c.scrape(r), before, before.adverse())
		after := c.arrange(second)
		for name := range after {
			// A collector goes on showing what it has read: only what was the same
			// before is known now. And an archive never goes back to one that holds
			// less, as this one may.
			if !before[name].sound || name == layout.ArchiveName || name == c.slot[0].name {
				after[name] = put{content: after[name].content}
			}
		}
		c.check("second scrape", c.scrape(r), after, after.adverse() || before.adverse() || before.archive())
	})
}

// FuzzAbsorb lets the fuzzer fill a directory, which is absorbed twice: the sound
// are in the archive, once, and all others are where they were or in quarantine.
func FuzzAbsorb(f *testing.F) {
	c := newCrowd(f)
	for _, script := range c.seeds() {
		f.Add(script)
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		c := c.in(t)
		there := c.arrange(script)
		c.check("before", c.scrapeAnew(), there, there.adverse())
		report, err := c.absorb()
		if err != nil {
			if !there.adverse() {
				t.Errorf("absorption: %v", err)
			}
			c.check("behind a failure", c.scrapeAnew(), there, true)
			return
		}
		c.check("after", c.scrapeAnew(), there, false)
		c.checkFiles(there, report)
		if report, err := c.absorb(); err != nil || report.Absorbed+report.Removed+len(report.Quarantined) > 0 || report.Aside != "" {
			t.Errorf("once more: %v, %v", report, err)
		}
		c.check("once more", c.scrapeAnew(), there, false)
	})
}

// in is the crowd in one run of a target.
func (c *crowd) in(t *testing.T) *crowd {
	w, in := *c.world, *c
	w.t, in.world = t, &w
	return &in
}

// seeds are scripts: each kind at each name, and each class of damage beside a
// sound file and an archive.
func (c *crowd) seeds() [][]byte {
	const fixed, fresh = 7, 0
	one := func(name, kind int, more ...byte) []byte {
		return append([]byte{fixed, byte(name), fresh, byte(kind)}, more...)
	}
	company := slices.Concat(one(1, putSound), one(nameArchive, putOtherArchive), one(nameOther, putText, 0))
	seeds := [][]byte{company}
	for name := range nameKinds {
		if name == nameAny {
			continue
		}
		var script []byte
		for kind := range putKinds {
			seeds = append(seeds, slices.Concat(company, script, one(name, kind, 1)))
		}
	}
	for class := range damage.Classes {
		seeds = append(seeds,
			slices.Concat(company, one(0, putDamaged, byte(class), 1), one(2, putDamaged, byte(class), 2)),
			slices.Concat(one(0, putSound), one(nameArchive, putDamaged, byte(class), 1)))
	}
	for text := range byte(9) {
		seeds = append(seeds, slices.Concat(one(1, putSound), one(nameLocation, putText, text)))
	}
	seeds = append(seeds, []byte{fixed, nameTemporary, 3, putBytes, 1, 1}, []byte{fixed, nameArchiveTemporary, 3, putEmpty})
	return seeds
}

// scrape returns the first sample of each family, and checks that a scrape
// neither fails nor costs too much.
func (c *crowd) scrape(r prometheus.Gatherer) map[string]*dto.Metric {
	c.t.Helper()
	shown := map[string]*dto.Metric{}
	damage.Bounded(c.t, "scrape", func() {
		families, err := r.Gather()
		if err != nil {
			c.t.Errorf("scrape: %v", err)
		}
		for _, f := range families {
			shown[f.GetName()] = f.GetMetric()[0]
		}
	})
	return shown
}

func (c *crowd) scrapeAnew() map[string]*dto.Metric {
	c.t.Helper()
	watcher := collector.New(collector.Opts{Location: c.dir, NoAbsorption: true, Logger: silent})
	defer watcher.Close()
	r := prometheus.NewRegistry()
	r.MustRegister(watcher)
	return c.scrape(r)
}

// check checks a scrape. mayMiss: it may show that it lacks something, and then
// shows no totals.
func (c *crowd) check(what string, shown map[string]*dto.Metric, there places, mayMiss bool) {
	c.t.Helper()
	if got := shown[c.mine+"_now"].GetGauge().GetValue(); got != good {
		c.t.Errorf("%s: gauge of the living is %v, want %v", what, got, good)
	}
	up := shown["mpmetrics_up"].GetGauge().GetValue() == 1
	if !up && !mayMiss {
		c.t.Errorf("%s: mpmetrics_up is 0", what)
	}
	want := map[string]bool{c.mine + "_total": up}
	for _, s := range c.slot {
		if there[s.name].sound {
			want[s.family] = up
		}
	}
	if _, elsewhere := there[layout.LocationName]; up && there.archive() && !elsewhere {
		want[c.first] = true
		if bytes.Equal(there[layout.ArchiveName].content, c.archives[1]) {
			want[c.slot[0].family] = true
		}
	}
	for family, is := range want {
		m := shown[family]
		if (m != nil) != is || is && m.GetCounter().GetValue() != good {
			c.t.Errorf("%s: %s is %v, want %v: %v", what, family, m, good, is)
		}
	}
}

func (c *crowd) absorb() (report compact.Report, err error) {
	c.t.Helper()
	damage.Bounded(c.t, "absorption", func() {
		report, err = compact.Run(c.t.Context(), c.dir, compact.Opts{Limits: compact.Limits{CoreShare: 1}, Logger: silent})
	})
	return report, err
}

// checkFiles checks what became of what was put somewhere.
func (c *crowd) checkFiles(there places, report compact.Report) {
	c.t.Helper()
	left, aside := map[string]bool{}, map[string]bool{}
	for _, f := range report.Left {
		left[f.Name] = true
	}
	for _, f := range report.Quarantined {
		aside[f.Name] = true
		c.checkAside(f.Name, there[f.Name])
	}
	lock, locked := there[layout.LockName]
	linked := locked && lock.content == nil // to the file of a slot, which is locked then and so alive
	for name, p := range there {
		_, err := os.Lstat(c.path(name))
		gone := errors.Is(err, fs.ErrNotExist)
		_, _, notOurs := layout.ParseFileName(name)
		switch {
		case name == layout.ArchiveName, name == layout.LocationName, name == layout.LockName, name == layout.QuarantineName:
		case layout.IsTemporary(name):
			if p.content != nil && gone != p.old {
				c.t.Errorf("temporary %q: gone %v, and old %v", name, gone, p.old)
			}
		case notOurs != nil && p.content != nil:
			if content, err := os.ReadFile(c.path(name)); !bytes.Equal(content, p.content) {
				c.t.Errorf("%q was changed, and is not ours: %v", name, err)
			}
		case notOurs != nil:
		case linked:
		case p.sound && (!gone || aside[name]):
			c.t.Errorf("sound file %s: gone %v, in quarantine %v", name, gone, aside[name])
		case gone == left[name]:
			c.t.Errorf("%s: gone %v, and left %v", name, gone, left[name])
		}
	}
}

// checkAside checks that a file in quarantine is what it was, with a reason. A
// script may have put something else there by the same name.
func (c *crowd) checkAside(name string, p put) {
	c.t.Helper()
	paths, err := filepath.Glob(filepath.Join(c.path(layout.QuarantineName), name+"*.txt"))
	if err != nil {
		c.t.Fatal(err)
	}
	for _, path := range paths {
		reason, err := os.ReadFile(path)
		if err != nil {
			c.t.Fatal(err)
		}
		content, err := os.ReadFile(strings.TrimSuffix(path, ".txt"))
		if err == nil && (p.content == nil || bytes.Equal(content, p.content)) && strings.Count(string(reason), "\n") == 2 {
			return
		}
	}
	c.t.Errorf("%s is not in quarantine with a reason: %q", name, paths)
}
