package compact

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
	"github.com/mpmetrics/mpmetrics/internal/scan"
)

// lookAgain is the pause after a search without an old series, because a search reads the files of
// all live processes.
const lookAgain = time.Hour

// trustClock is how long the clock has to be steady before old series and samples are dropped by the
// clock: longer than a wrong clock usually stays unnoticed.
const trustClock = 24 * time.Hour

// trusted reports whether a clock that was steady for so long may drop what is older than a time.
func trusted(steady, older time.Duration) bool { return steady >= min(older, trustClock) }

// housekeeping drops old samples, series and ids. While dead files wait for a later batch, or stay
// for a reason that may pass, only samples are dropped, because the ids and series of the waiting
// files are unknown. The time is the one before the look at the directory: the compactor may have been
// stopped since, and all processes of that time are known.
func (c *compactor) housekeeping(ctx context.Context, p *plan) error {
	now := p.looked
	steady := c.steady(now, p.uptime)
	if trusted(steady, c.opts.DeadSampleRetention) {
		expired := c.archive.Ledger.Expire(now.Add(-c.opts.DeadSampleRetention).UnixNano())
		c.report.Expired += expired
		p.changed = c.archive.Ledger.Rejuvenate(now.UnixNano()) > 0 || p.changed || expired > 0
	}
	if len(p.waiting) > 0 || slices.Contains(slices.Collect(maps.Values(c.left)), true) {
		return nil
	}
	if err := c.forget(ctx, p, now, steady); err != nil {
		return err
	}
	if trusted(steady, baseRetention) {
		c.dropBases(p, now)
	}
	if trusted(steady, idRetention) {
		// The wall clock may move by a minute, so that an hour is less by the uptime.
		c.prune(p, now.Add(-idRetention).UnixNano(), int64(p.uptime-idRetention/2))
	}
	return nil
}

// prune drops the ids of processes that were absorbed before a time, by the wall clock. All of them
// began before a time by the uptime. The wall clock is right: a wall clock that is ahead would take the
// ids of this moment for old, and processes that make their files at this moment for processes that
// returned from a backup.
func (c *compactor) prune(p *plan, before, uptime int64) {
	if c.archive.LowerHorizon(before) {
		p.changed = true
	}
	if c.archive.AbsorbedIDs() > 0 && c.archive.Oldest() < before-int64(pruneSlack) {
		listed := idsOf(p.live, p.dead, p.absorbed, c.leftNames())
		pruned := c.archive.Prune(before, uptime, func(id layout.ID) bool { return listed[id] })
		c.report.Pruned += pruned
		p.changed = p.changed || pruned > 0
	}
}

// forget drops old series, and series beyond the limit.
func (c *compactor) forget(ctx context.Context, p *plan, now time.Time, steady time.Duration) error {
	l, before := c.archive.Ledger, now.Add(-c.opts.ForgetAfter).UnixNano()
	if !trusted(steady, c.opts.ForgetAfter) {
		before = 0 // only series beyond the limit
	}
	looked := now.Sub(time.Unix(0, c.archive.Looked))
	if looked >= 0 && looked < lookAgain || !l.Aged(before, c.opts.MaxArchiveSeries) {
		return nil
	}
	living := merge.Living{}
	for _, name := range p.live {
		f, err := c.read(ctx, name)
		if scan.Vanished(err) {
			continue
		}
		if err != nil {
			return nil // a live process may have any series: the next absorption looks again
		}
		living.Add(f.families, f.inputs)
	}
	n := l.Forget(before, c.opts.MaxArchiveSeries, living)
	c.archive.Forgotten += uint64(n)
	c.report.Forgotten += n
	l.Touch(living, now.UnixNano())
	if n == 0 {
		c.archive.Looked = now.UnixNano()
	}
	p.changed = true
	return nil
}
