//go:build unix

package collector_test

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/store"
)

func init() {
	// adder adds each line to a counter.
	programs["adder"] = func(c *child) {
		counter := store.NewCounter(prometheus.CounterOpts{Name: "orders_total", Help: "h"})
		for {
			line, more := c.wait()
			if !more {
				return
			}
			n, err := strconv.ParseFloat(line, 64)
			if err != nil {
				c.say("%v", err)
				return
			}
			counter.Add(n)
			c.say("added")
		}
	}
}

// A program overwrites the archive while a process lives that has counted 40; a killed process had
// counted 30. Collectors show what was counted since: 1 by a process
// that began after the damage and was killed, and what the living process counts, until that is killed
// and absorbed too.
func TestArchiveOverwrittenWhileAProcessLives(t *testing.T) {
	dir := t.TempDir()
	add := func(n string) func() {
		t.Helper()
		p := spawn(t, "adder", store.EnvDir+"="+dir)
		p.Tell(n)
		p.Line()
		return func() { p.Kill() }
	}
	absorb := func() {
		t.Helper()
		if _, err := compact.Run(t.Context(), dir, compact.Opts{}); err != nil {
			t.Fatal(err)
		}
	}
	endLiving := add("40")
	add("30")()
	absorb()
	r := registryWith(t, collector.Opts{Location: dir, NoAbsorption: true})
	total := func(when string, want float64) {
		t.Helper()
		equal(t, when, scrape(t, r), samples{"orders_total": want})
		later := registryWith(t, collector.Opts{Location: dir, NoAbsorption: true})
		equal(t, when+", for a new collector", scrape(t, later), samples{"orders_total": want})
	}
	total("before", 70)
	path := filepath.Join(dir, layout.Subdirectory, layout.ArchiveName)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(content); i += 7 {
		content[i] ^= 0x55
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	equal(t, "damaged", scrape(t, r), samples{})
	add("1")()
	absorb()
	total("restarted", 1)
	endLiving()
	total("the living process is killed", 1)
	absorb()
	add("5")()
	total("the living process is absorbed", 6)
}
