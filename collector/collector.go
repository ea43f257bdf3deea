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

// Opts are the options of a [Collector]. The zero value collects the location of [store.Default],
// or the metrics of this process without a location.
type Opts struct {
	// Location is a directory, or the URL of a server, as in [store.Opts]. A process without own
	// metrics needs a Location. Empty: the location of Store.
	Location string

	// Store is the store of this process. nil without a Location: [store.Default].
	Store *store.Store

	// GroupShared and AllowNetworkFS are as in [store.Opts]. Each also applies if Store or the
	// environment sets it.
	GroupShared    bool
	AllowNetworkFS bool

	// ArchiveDir is a directory for the archive, as in [compact.Opts]. Empty: as in Store, then
	// $MPMETRICS_ARCHIVE_DIR. All processes need the same ArchiveDir: prefer the environment
	// variable.
	ArchiveDir string

	// Absorption bounds the absorption of dead processes in the background of this process.
	Absorption compact.Limits

	// NoAbsorption switches the absorption in the background of this process off. Files of dead
	// processes stay until another collector, or [compact.Run], absorbs the processes.
	NoAbsorption bool

	// CollectorErrors makes an error or panic of a foreign collector of Store, or a conflict of two
	// collectors, an error of Gather, as if the scraped registry had the collectors: see
	// [store.Store.CollectorErrors]. Choose the answer to the scrape by
	// promhttp.HandlerOpts.ErrorHandling; by default promhttp answers status 500 without any metric.
	// false: such errors are in the log and in mpmetrics_unmirrored_total.
	CollectorErrors bool

	// Timeout bounds the reading of one collection. A collection that takes longer leaves the
	// cumulative metrics out. The next collection goes on with the unread files. 0: 8 s, a little
	// less than Prometheus waits for a scrape by default.
	Timeout time.Duration

	// Logger takes one line for each unreadable file. nil: [slog.Default].
	Logger *slog.Logger
}

const (
	// staleCollections is the number of collections that show the last values of a silent server. A
	// server that restarts is silent for a while.
	staleCollections = 3

	// serverTimeout bounds the wait for a server. The metrics of the rest of the registry come
	// after the wait.
	serverTimeout = 2 * time.Second
)

// Collector implements [prometheus.Collector]. Several goroutines may use a Collector; collections
// take turns. Make a Collector with [New].
type Collector struct {
	where   slog.Attr // directory or server, without a password
	store   *store.Store
	log     *slog.Logger
	timeout time.Duration
	bad     error // why the location is unusable
	errors  bool  // Opts.CollectorErrors

	describe sync.Once
	descs    []*prometheus.Desc // written by describe

	// mu is held while the location is read and merged, and not while metrics are sent.
	mu      sync.Mutex
	scanner *scan.Scanner // nil in memory
	merger  *merge.Merger
	absorb  *absorber // nil in memory, or with NoAbsorption
	render  *render.Renderer
	totals  totals
	closed  bool

	incomplete error // error of the last collection
}

// New makes a collector. New never fails: an unusable location shows in mpmetrics_up and in the
// log.
func New(o Opts) *Collector {
	c := &Collector{
		store:   o.Store,
		log:     o.Logger,
		errors:  o.CollectorErrors,
		timeout: cmp.Or(o.Timeout, scan.DefaultTimeout),
		merger:  merge.New(),
		render:  render.New(func(name string) bool { return selfNames[name] }),
		totals:  newTotals(),
	}
	if c.log == nil {
		c.log = slog.Default()
	}
	if err := o.check(); err != nil {
		c.log.Error("mpmetrics: collector uses defaults for invalid options", "err", err)
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
			// The store counts in memory because its configuration is unusable. The metrics of one
			// process are no total.
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

// open opens the source of a location. Memory has no source.
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

// check returns an error that names each invalid field.
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

// access returns the rules for the directory.
func (o *Opts) access(s *store.Store) directory.Access {
	a := directory.Access{GroupShared: o.GroupShared, AllowNetworkFS: o.AllowNetworkFS}.WithEnv()
	if s != nil {
		own := s.Opts()
		a.GroupShared, a.AllowNetworkFS = a.GroupShared || own.GroupShared, a.AllowNetworkFS || own.AllowNetworkFS
	}
	return a
}

// Close ends a running absorption and gives the files back. Later collections send nothing.
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

// Describe implements [prometheus.Collector]. Describe describes the metrics about mpmetrics, and
// the families that this process has defined at the first call. So a second registration of such a
// family fails at once. Families of other processes come and go without a description. A pedantic
// registry, such as the registry of client_golang's testutil, rejects families without a
// description, unless the collector has no Store: such a collector describes nothing.
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

// collect reads, merges and renders. The result belongs to the caller.
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
	metrics = append(metrics, c.totals.metrics(state)...)
	return append(metrics, c.collectorErrors()...)
}

// collectorErrors returns a metric that makes Gather return the errors of foreign collectors.
func (c *Collector) collectorErrors() []prometheus.Metric {
	if !c.errors || c.store == nil {
		return nil
	}
	err := c.store.CollectorErrors()
	if err == nil {
		return nil
	}
	return []prometheus.Metric{prometheus.NewInvalidMetric(prometheus.NewInvalidDesc(err), err)}
}

// collectAll returns the metrics that a collector sends.
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

// scan reads the location and adds the values up. Dead processes are absorbed afterwards, in the
// background.
func (c *Collector) scan() state {
	ctx, cancel := context.WithTimeout(context.Background(), c.timeout)
	defer cancel()
	err := c.scanner.Merge(ctx)
	conflicts := c.merger.Conflicts()
	state := state{up: err == nil, directory: true, found: c.scanner.Found(), archive: c.scanner.Archive(), conflicts: byReason(conflicts)}
	if err != nil {
		state.stopped = stoppedReason(err)
	}
	c.logChange(err)
	c.totals.conflict(conflicts)
	if c.absorb != nil {
		c.absorb.consider(state, err)
	}
	return state
}

// logChange logs when collections become incomplete, or complete again, and not at every scrape.
func (c *Collector) logChange(err error) {
	switch {
	case err != nil && c.incomplete == nil:
		c.log.Warn("mpmetrics: scrapes lack cumulative metrics", c.where, "err", err)
	case err == nil && c.incomplete != nil:
		c.log.Info("mpmetrics: scrapes are complete again", c.where)
	}
	c.incomplete = err
}
