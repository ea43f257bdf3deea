package collector

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/location"
	"github.com/mpmetrics/mpmetrics/internal/marker"
	"github.com/mpmetrics/mpmetrics/internal/merge"
	"github.com/mpmetrics/mpmetrics/internal/render"
	"github.com/mpmetrics/mpmetrics/internal/scan"
	"github.com/mpmetrics/mpmetrics/internal/source"
	"github.com/mpmetrics/mpmetrics/store"
)

// Opts says what to collect. The zero value is the default store's directory,
// or its metrics when there is none.
type Opts struct {
	// Location is a directory, or the URL of a server, as in store.Opts. Set it in a
	// process that has no metrics of its own. Empty: that of Store.
	Location string

	// Store is the store of this process. nil without a Location:
	// store.Default().
	Store *store.Store

	// GroupShared and AllowNetworkFS are as in store.Opts. Unset: as in Store, and
	// the environment.
	GroupShared    bool
	AllowNetworkFS bool

	// ArchiveDir is a directory for the archive, as in compact.Opts. Empty: as in Store,
	// then $MPMETRICS_ARCHIVE_DIR. All processes need the same ArchiveDir: the environment
	// variable is the better place.
	ArchiveDir string

	// Absorption bounds the absorption of dead processes in the background of this process.
	Absorption compact.Limits

	// NoAbsorption leaves absorbing to others: nothing is done in the background
	// of this process. Files of the dead stay until another collector, or
	// compact.Run, has absorbed them.
	NoAbsorption bool

	// Timeout bounds the reading of one collection. When it is over the cumulative
	// metrics are left out; what was read by then is not read again by the next
	// one. 0: 8 s, a little less than Prometheus waits for a scrape by default.
	Timeout time.Duration

	// Logger takes one line for each file that cannot be read. nil:
	// slog.Default().
	Logger *slog.Logger
}

const (
	// staleCollections is how many collections show what was read last when a server
	// does not answer: it may be starting again.
	staleCollections = 3

	// serverTimeout bounds the wait for a server: the metrics of the rest of the
	// registry come after it.
	serverTimeout = 2 * time.Second
)

// Collector implements prometheus.Collector. It may be used by several
// goroutines; their collections take turns.
type Collector struct {
	where   slog.Attr // which directory or server, without a password
	store   *store.Store
	log     *slog.Logger
	timeout time.Duration
	bad     error // the location cannot be used at all

	describe sync.Once
	descs    []*prometheus.Desc // written under describe

	// mu is held while the directory is read and merged, not while metrics
	// are sent.
	mu      sync.Mutex
	scanner *scan.Scanner // nil in memory
	merger  *merge.Merger
	absorb  *absorber // nil in memory, or when others absorb
	render  *render.Renderer
	totals  totals
	closed  bool

	incomplete error // of the last collection
}

// New makes a collector. It never fails: what is wrong with the location shows
// in mpmetrics_up and in the log.
func New(o Opts) *Collector {
	c := &Collector{
		store:   o.Store,
		log:     o.Logger,
		timeout: cmp.Or(o.Timeout, scan.DefaultTimeout),
		merger:  merge.New(),
		render:  render.New(func(name string) bool { return selfNames[name] }),
		totals:  newTotals(),
	}
	if c.log == nil {
		c.log = slog.Default()
	}
	if err := o.check(); err != nil {
		c.log.Error("mpmetrics: collector uses defaults for options without a meaning", "err", err)
		if o.Absorption.Check() != nil {
			o.Absorption = compact.Limits{}
		}
		if o.Timeout < 0 {
			c.timeout = scan.DefaultTimeout
		}
	}
	text := o.Location
	if text == "" {
		if c.store == nil {
			c.store = store.Default()
		}
		if text = c.store.Location(); text == "" {
			// Memory because the configuration cannot be used, as opposed to
			// memory by choice: what one process counts is no total.
			c.bad = c.store.Degraded()
		}
	}
	if text != "" {
		c.bad = c.open(text, o)
	}
	if c.bad != nil {
		c.log.Error("mpmetrics: nothing to collect", "err", c.bad)
	}
	return c
}

// open finds what a location names; nothing for the memory of the process.
func (c *Collector) open(text string, o Opts) error {
	l, err := location.Parse(text)
	if err != nil {
		return err
	}
	if l.Kind() == location.InMemory && c.store != nil {
		return nil
	}
	from, err := source.Open(l, source.Opts{
		ArchiveDir: o.archiveDir(c.store), Access: o.access(c.store),
		Timeout: min(c.timeout, serverTimeout), Grace: staleCollections, Log: c.log,
	})
	if err != nil {
		return err
	}
	c.where = l.Attr()
	c.scanner = scan.New(from, c.merger, c.log, c.totals.readError)
	if !o.NoAbsorption {
		c.absorb = newAbsorber(l.Text(), c.where, o.absorption(c.store), c.log)
	}
	return nil
}

// check returns an error that names each field without a meaning.
func (o *Opts) check() error {
	err := o.Absorption.Check()
	if o.Timeout < 0 {
		err = errors.Join(err, fmt.Errorf("Opts.Timeout is %v: want a positive duration, or 0 for %v", o.Timeout, scan.DefaultTimeout))
	}
	return err
}

// archiveDir returns the configured directory of the archive.
func (o *Opts) archiveDir(s *store.Store) string {
	if o.ArchiveDir == "" && s != nil {
		return s.Opts().ArchiveDir
	}
	return o.ArchiveDir
}

// absorption returns the options of an absorption.
func (o *Opts) absorption(s *store.Store) compact.Opts {
	access := o.access(s)
	return compact.Opts{
		Limits: o.Absorption, ArchiveDir: o.archiveDir(s),
		GroupShared: access.GroupShared, AllowNetworkFS: access.AllowNetworkFS,
	}
}

// access says what the directory may be like.
func (o *Opts) access(s *store.Store) directory.Access {
	a := directory.Access{GroupShared: o.GroupShared, AllowNetworkFS: o.AllowNetworkFS}.WithEnv()
	if s != nil {
		own := s.Opts()
		a.GroupShared, a.AllowNetworkFS = a.GroupShared || own.GroupShared, a.AllowNetworkFS || own.AllowNetworkFS
	}
	return a
}

// Close ends an absorption that is at work in the background and gives the files
// back. Collections afterwards send nothing.
func (c *Collector) Close() error {
	if c.absorb != nil {
		c.absorb.close()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.scanner != nil {
		c.scanner.Close()
	}
	return nil
}

// Describe implements prometheus.Collector. It describes the metrics about
// mpmetrics and, frozen at the first call, the families of this process: who
// registers one of them beside the collector, and so shows it twice, gets an
// error at once. Families of other processes come and go undescribed: a
// pedantic registry, which client_golang's testutil uses too, accepts only those
// that this process had defined when the collector was registered. A collector
// without a Store describes nothing, and passes there.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	marker.Say()
	if c.store == nil {
		return
	}
	c.describe.Do(func() {
		descs := make(chan *prometheus.Desc)
		go func() {
			defer close(descs)
			describeSelf(descs)
			c.store.Describe(descs)
		}()
		for d := range descs {
			c.descs = append(c.descs, d)
		}
	})
	for _, d := range c.descs {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	for _, m := range c.collect() {
		ch <- m
	}
}

// collect reads, merges and renders. What it returns belongs to the caller.
func (c *Collector) collect() []prometheus.Metric {
	start := time.Now()
	if c.store != nil {
		_ = c.store.Flush(context.Background())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	state := state{up: c.bad == nil, found: scan.Found{Live: 1}}
	var metrics []prometheus.Metric
	switch {
	case c.scanner != nil:
		state = c.scan()
		metrics = c.render.Metrics(c.merger, state.up, state.begun())
	case c.bad == nil:
		metrics = collectAll(c.store)
	}
	state.series = len(metrics)
	if c.store != nil {
		state.degraded = degradedReason(c.store.Degraded())
	}
	state.seconds = time.Since(start).Seconds()
	return append(metrics, c.totals.metrics(state)...)
}

// collectAll returns what a collector sends.
func collectAll(c prometheus.Collector) (metrics []prometheus.Metric) {
	ch := make(chan prometheus.Metric)
	go func() {
		defer close(ch)
		c.Collect(ch)
	}()
	for m := range ch {
		metrics = append(metrics, m)
	}
	return metrics
}

// scan reads the directory and adds everything up. What it met dead is absorbed
// afterwards, in the background.
func (c *Collector) scan() state {
	ctx, cancel := context.WithTimeout(context.Background(), c.timeout)
	defer cancel()
	err := c.scanner.Merge(ctx)
	state := state{up: err == nil, directory: true, found: c.scanner.Found(), archive: c.scanner.Archive()}
	if err != nil {
		state.stopped = stoppedReason(err)
	}
	c.logChange(err)
	c.totals.conflict(c.merger.Conflicts())
	if c.absorb != nil {
		c.absorb.consider(state, err)
	}
	return state
}

// logChange logs when collecting becomes incomplete, or complete again: not at
// every scrape of a bad day.
func (c *Collector) logChange(err error) {
	switch {
	case err != nil && c.incomplete == nil:
		c.log.Warn("mpmetrics: cumulative metrics are left out of scrapes", c.where, "err", err)
	case err == nil && c.incomplete != nil:
		c.log.Info("mpmetrics: scrapes are complete again", c.where)
	}
	c.incomplete = err
}
