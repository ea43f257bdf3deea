package collector

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/internal/pace"
	"github.com/mpmetrics/mpmetrics/internal/scan"
)

const (
	// housekeepEvery is the time between absorptions without a dead process, for old samples and
	// ids.
	housekeepEvery = 5 * time.Minute

	// failedPause is the pause after an absorption that failed.
	failedPause = 10 * time.Second
)

// absorber absorbs dead processes in the background, after scrapes, one absorption at a time. No
// scrape waits for an absorption.
type absorber struct {
	location string
	where    slog.Attr // location without a password, for the log
	opts     compact.Opts
	log      *slog.Logger

	mu     sync.Mutex // guards the fields below; never held while absorbing
	closed bool
	cancel context.CancelFunc // ends the running absorption; nil: none is running
	ended  sync.WaitGroup
	last   time.Time     // end of the last absorption
	took   time.Duration // work of the last absorption
	failed bool          // the last absorption failed, and the log says so
	bad    int           // unreadable files at the last absorption
}

func newAbsorber(location string, where slog.Attr, o compact.Opts, log *slog.Logger) *absorber {
	if o.Logger == nil {
		o.Logger = log
	}
	return &absorber{location: location, where: where, opts: o, log: log, last: time.Now()}
}

// consider starts an absorption if a scan found work for an absorption.
func (a *absorber) consider(s state, err error) {
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	pause := pace.Pause(a.opts.CoreShare, a.took, s.found.Dead)
	if a.failed {
		pause = failedPause
	}
	if a.cancel != nil || a.closed || now.Sub(a.last) < pause {
		return
	}
	reason, bad := scan.ReasonOf(err), s.found.Unreadable+s.found.Kept
	switch {
	case s.found.Dead > 0:
	case err != nil && (reason == scan.Damaged || reason == scan.Foreign || reason == scan.Boot):
		// The absorption puts the cause aside.
	case bad > a.bad:
		// The absorption puts damaged files aside.
	case (s.archive.Exists() || bad > 0) && now.Sub(a.last) > housekeepEvery:
	default:
		return
	}
	a.bad = bad
	ctx, cancel := context.WithCancel(context.Background())
	a.cancel = cancel
	a.ended.Go(func() { a.absorb(ctx) })
}

func (a *absorber) absorb(ctx context.Context) {
	report, err := compact.Run(ctx, a.location, a.opts)
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cancel()
	a.cancel, a.last, a.took = nil, now, report.Took
	switch {
	case err == nil:
		if a.failed {
			a.log.Info("mpmetrics: dead processes are absorbed again", a.where)
		}
		a.failed = false
	case errors.Is(err, compact.ErrBusy), errors.Is(err, fs.ErrNotExist), a.closed:
		// Another process absorbs, or the place is empty.
	default:
		if !a.failed {
			a.log.Warn("mpmetrics: dead processes are not absorbed", a.where, "err", err)
		}
		a.failed = true
	}
}

// close ends a running absorption.
func (a *absorber) close() {
	a.mu.Lock()
	a.closed = true
	if a.cancel != nil {
		a.cancel()
	}
	a.mu.Unlock()
	a.ended.Wait()
}
