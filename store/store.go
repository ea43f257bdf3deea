package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/internal/foreign"
	"github.com/mpmetrics/mpmetrics/internal/fork"
	"github.com/mpmetrics/mpmetrics/internal/instrument"
	"github.com/mpmetrics/mpmetrics/internal/location"
	"github.com/mpmetrics/mpmetrics/internal/marker"
	"github.com/mpmetrics/mpmetrics/internal/place"
)

// Store keeps the metrics of this process: in the process's own file in a shared
// directory, on a server, or in memory. The zero Store cannot be used: call [Open] or
// [Default]. The constructors of a nil Store make instruments of the default store.
type Store struct {
	opts     Opts
	location location.Location // of opts; zero if the text of the location is invalid
	place    place.Place
	catalog  *instrument.Catalog
	pid      int // the process that opened the store
	foreign  *foreign.Mirror

	// registry holds every definition, and every collector of Registerer. The registry
	// finds duplicates and invalid definitions as promauto's would; it is never gathered.
	registry *prometheus.Registry

	mu        sync.Mutex // no other lock is taken while mu is held
	unflushed error      // why the last flush failed
	closed    bool

	// For the background work alone, and for Close after it has ended.
	droppedTotal *instrument.Counter // nil until a series was dropped

	// Guarded by the lock of foreign flushes.
	unmirroredTotal *prometheus.CounterVec // nil until a sample was left out
	resetsTotal     *prometheus.CounterVec // nil until a foreign counter went down

	stop    chan struct{} // closed by Close
	done    chan struct{} // closed when the background work has ended; nil without
	flushed chan struct{} // likewise, of flushes
}

// Open opens a store. With a directory Open makes the file of this process, and
// returns an error that says why when it cannot: [errors.ErrUnsupported] on
// platforms without the locks and mappings that a file needs.
//
// A process may open several stores; each is a process of its own to readers.
func Open(o Opts) (*Store, error) {
	s, err := prepare(o)
	if err == nil {
		err = s.place.Open(context.Background())
	}
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	s.maintain()
	return s, nil
}

// prepare makes a store whose place is not open yet. With an error prepare returns a store
// in memory that shows the error.
func prepare(o Opts) (*Store, error) {
	filled, err := o.withDefaults()
	s := &Store{
		opts:     filled,
		catalog:  instrument.NewCatalog(filled.MaxSeries),
		registry: prometheus.NewRegistry(),
		stop:     make(chan struct{}),
		pid:      fork.Pid(),
	}
	if err == nil {
		s.place, err = makePlace(s)
	}
	if err != nil {
		s.place = place.Memory{Instead: err}
	}
	s.catalog.Use(s.place)
	s.foreign = foreign.New(foreign.Config{
		Catalog: s.catalog, Place: s.place, Logger: filled.Logger, Host: (*host)(s),
	})
	return s, err
}

// Location returns where readers find the metrics of this store: a directory, or the URL
// of a server; "" when the metrics are in memory.
func (s *Store) Location() string {
	if !s.place.Shared() {
		return ""
	}
	return s.location.Text()
}

// Opts returns the options of the store, with defaults and the environment filled in.
func (s *Store) Opts() Opts { return s.opts }

// Degraded returns why readers lack metrics of this process, or nil: the
// directory or the server cannot be used, there is no room, or the last flush failed. The
// error wraps the cause: [errors.ErrUnsupported], [io/fs.ErrPermission], [ErrForked], or an
// error of the file system or of the network.
func (s *Store) Degraded() error {
	why := s.place.Degraded()
	s.mu.Lock()
	defer s.mu.Unlock()
	return cmp.Or(why, s.unflushed)
}

// Close ends counting into the file. The counters of the process stay in the merged total;
// its live gauges leave. A store whose directory could not be used tries once more. An error
// says what no other process will see.
//
// In a directory Close is optional, but for the metrics of [Store.Registerer] and native
// histograms. On a server, a process that exits without Close loses the counts since the
// last flush. Instruments can be used after Close, to no effect on any file. Close
// lets an absorption of many dead files that [Open] started go on for two seconds.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	close(s.stop)
	if fork.Foreign(s.pid) {
		return s.place.Close() // the background work may not run, and a wait may not end
	}
	defer s.foreign.Close()
	if !s.place.Shared() {
		return nil
	}
	if s.done != nil {
		<-s.done
		<-s.flushed
	}
	defer s.catalog.Close()
	s.catalog.Sweep(true)
	if !s.place.Ready() {
		_ = s.place.Open(context.Background()) // the last try; Close of the place returns the error
	}
	s.published(s.foreign.Flush(context.Background()))
	s.countDropped()
	return s.place.Close()
}

// ErrForked is wrapped by the error of [Store.Degraded] in a process that was forked
// without exec.
var ErrForked error // set below: documentation shows no internal package

func init() { ErrForked = place.ErrForked }

// ErrClosed is the error of [Store.Flush] after [Store.Close].
var ErrClosed = errors.New("mpmetrics: store is closed")

// Flush publishes everything that was counted before the call: at return with nil every
// reader sees the series and values of this process, and the families of the collectors of
// [Store.Registerer]. An error says why a reader may miss some; no count is lost by an error,
// because the background work and later flushes try again. In memory Flush returns nil, or
// the reason why memory stands for the configured location.
//
// Flush waits until ctx ends, and for a server at most two seconds; when the server did not
// answer lately, Flush returns the error at once. A collector of this process calls Flush
// for each scrape.
func (s *Store) Flush(ctx context.Context) error {
	if !s.place.Shared() {
		return s.place.Degraded()
	}
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	switch {
	case closed:
		return ErrClosed
	case fork.Foreign(s.pid):
		fork.Notice()
		return ErrForked
	}
	s.published(s.foreign.Flush(ctx))
	return s.Degraded()
}

// published takes the result of a flush: an error is kept for Degraded and logged once.
func (s *Store) published(err error) {
	s.mu.Lock()
	before := s.unflushed
	s.unflushed = err
	s.mu.Unlock()
	switch {
	case err != nil && before == nil:
		go s.opts.Logger.Error("mpmetrics: changes are not published", s.place.Where(), "err", err)
	case err == nil && before != nil:
		go s.opts.Logger.Info("mpmetrics: changes are published again", s.place.Where())
	}
}

// Describe implements [prometheus.Collector]: it sends the descriptors of the metrics of
// this process.
func (s *Store) Describe(ch chan<- *prometheus.Desc) {
	marker.Say()
	for _, f := range s.catalog.Families() {
		f.Collector.Describe(ch)
	}
}

// Collect implements [prometheus.Collector]: it sends the metrics of this process alone,
// as they are in its memory, not merged with those of other processes. Register package
// collector's Collector for the merged metrics, and never both in one registry.
func (s *Store) Collect(ch chan<- prometheus.Metric) {
	for _, f := range s.catalog.Families() {
		f.Collector.Collect(ch)
	}
}

// tick is how often the background work of stores and places runs when nothing wakes
// it: a series that waits in memory is published at most this late once there is room. A
// variable for the tests.
var tick = time.Second

// clock is a variable for the tests.
var clock = time.Now

// maintain starts the background work: the part that every shared place needs.
func (s *Store) maintain() {
	if !s.place.Shared() {
		return
	}
	s.place.Start()
	s.done, s.flushed = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(s.flushed)
		s.flushes()
	}()
	go func() {
		defer close(s.done)
		s.every(tick, func() {
			s.catalog.Sweep(false)
			s.countDropped()
		})
	}()
}

// firstPause is the pause before the first flush. A variable for the tests.
var firstPause = time.Millisecond

// flushes flushes again and again until the store is closed. Each pause is twice as long as
// the pause before, up to the interval: a process that lives shorter than the interval, and
// exits without Close, loses the last half of its foreign counts at most, and not all.
func (s *Store) flushes() {
	pause := min(firstPause, s.opts.FlushInterval)
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-timer.C:
			s.published(s.foreign.FlushUnasked(context.Background()))
			pause = min(2*pause, s.opts.FlushInterval)
			timer.Reset(pause)
		}
	}
}

// every calls do again and again until the store is closed.
func (s *Store) every(interval time.Duration, do func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-ticker.C:
			do()
		}
	}
}
