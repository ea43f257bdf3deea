package compact

import (
	"context"
	"math"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
	"github.com/mpmetrics/mpmetrics/internal/scan"
)

// Totals restart because the archive is damaged or missing. The files of all other processes are
// still there, and have counts that earlier totals had too. Prometheus takes the restart for a reset
// and adds the whole value of the restarted total, so the restarted total must not have these counts
// again. The new archive has a base for each process instead:
//
//  1. The compactor finds the archive damaged. Every scrape finds the same, and shows no total.
//  2. The compactor reads the files of all processes, and takes the counts as bases.
//  3. The compactor renames the new archive, with the bases. From now on scrapes show totals, and
//     subtract the base of a process from the counts of the process.
//  4. An absorption of the process subtracts the base once, and drops the base.
//
// A process that began after the damage was in no total, and has an empty base. A process that is dead
// at the restart does not count any more, and its whole count is the base. So is, until an absorption
// reads its file, the count of a process that began before the restart and has no file at the restart.

// rebase takes a base of each process in the directory.
func (c *compactor) rebase(ctx context.Context, p *plan) error {
	if c.damaged == math.MinInt64 {
		return nil
	}
	if err := c.rebaseLive(ctx, p.live); err != nil {
		return err
	}
	bases := c.archive.Ledger.Bases
	bases[layout.ID{}] = &merge.Base{Whole: true}
	for id := range idsOf(c.leftNames()) {
		bases[id] = &merge.Base{Whole: true}
	}
	for _, f := range c.report.Quarantined { // a repair, or a living owner, may bring the process back
		if _, id, err := layout.ParseFileName(f.Name); err == nil {
			bases[id] = &merge.Base{Whole: true}
		}
	}
	for _, t := range p.processes {
		bases[t.header.ID] = &merge.Base{Whole: t.header.Start <= c.damaged}
	}
	for _, name := range p.waiting {
		if _, id, err := layout.ParseFileName(name); err == nil {
			h, err := c.header(name)
			bases[id] = &merge.Base{Whole: err != nil || h.Start <= c.damaged}
		}
	}
	return nil
}

// rebaseLive takes the bases of living processes. If the file of a living process is damaged, no
// reader knows the counts: the base is whole until readBases can read the file.
func (c *compactor) rebaseLive(ctx context.Context, names []string) error {
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		_, id, err := layout.ParseFileName(name)
		if err != nil {
			continue
		}
		base, start, err := c.baseOf(ctx, name)
		switch {
		case scan.Vanished(err):
		case err != nil && scan.Transient(err):
			return err // the next absorption tries again
		case err != nil:
			c.archive.Ledger.Bases[id] = &merge.Base{Whole: true}
		case start <= c.damaged:
			c.archive.Ledger.Bases[id] = base
		default:
			c.archive.Ledger.Bases[id] = &merge.Base{}
		}
	}
	return nil
}

// readBases reads the files of living processes whose base is whole, because the files were damaged
// or missing at the restart.
func (c *compactor) readBases(ctx context.Context, p *plan) {
	if c.begin != "" {
		return // rebase has just tried
	}
	for _, name := range p.live {
		_, id, err := layout.ParseFileName(name)
		if err != nil {
			continue
		}
		b := c.archive.Ledger.Bases[id]
		if b == nil && c.archive.Ledger.Bases[layout.ID{}] != nil {
			h, err := c.header(name)
			if err != nil {
				continue
			}
			b = c.archive.Base(h)
		}
		if b == nil || !b.Whole {
			continue
		}
		base, _, err := c.baseOf(ctx, name)
		if err != nil {
			continue
		}
		c.archive.Ledger.Bases[id] = base
		// A scrape may have read the process before this reading: the scrape has to begin again.
		c.archive.Epoch++
		p.changed = true
	}
}

// dropBases drops the bases of processes that have had no file for long.
func (c *compactor) dropBases(p *plan, now time.Time) {
	if now.Sub(time.Unix(0, c.archive.Begun)) < baseRetention {
		return
	}
	listed := idsOf(p.live, p.dead, p.absorbed, c.leftNames())
	for id := range c.archive.Ledger.Bases {
		if !listed[id] {
			delete(c.archive.Ledger.Bases, id)
			p.changed = true
		}
	}
}

// baseOf returns the counts of a living process as a base, and the start of the process.
func (c *compactor) baseOf(ctx context.Context, name string) (base *merge.Base, start int64, err error) {
	var read *process
	err = scan.Prove(func() (err error) {
		read, err = c.read(ctx, name)
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	return merge.NewBase(read.families, read.inputs, read.values, read.natives), read.header.Start, nil
}
