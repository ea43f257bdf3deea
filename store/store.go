package store

import (
	"cmp"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/internal/fork"
	"github.com/mpmetrics/mpmetrics/internal/marker"
)

// Store is where the metrics of this process are kept: in its own file in a
// shared directory, or in memory.
//
// Lock order: the lock of a vec, then mu, then those of the backend, then that of an
// instrument. None of ours is held while Collect, Describe or a user's code
// runs, and mu is not held over a system call.
type Store struct {
	opts    Opts
	now     func() time.Time // says how long something was left alone
	backend backend

	// registry holds every definition, and every collector of Registerer. It finds
	// duplicates and invalid ones as it would for promauto; nobody gathers it.
	registry *prometheus.Registry

	mirror *mirrorer // of what Registerer takes

	series  atomic.Int64 // that others see or are to see, against MaxSeries
	dropped atomic.Uint64

	mu        sync.Mutex
	families  []*family
	born      uint64 // series of vecs made so far
	unflushed error  // why the last flush failed
	closed    bool

	// The background work's alone, and that of Close behind it.
	pid          int      // of this process; another one in a process that was forked from it
	droppedTotal *counter // nil until something was dropped

	stop    chan struct{} // closed by Close
	done    chan struct{} // closed when the background work has ended; nil without
	flushed chan struct{} // likewise, of flushes
}

// Open opens a store. With a directory it makes the file of this process, and
// returns an error that says why when it cannot: errors.ErrUnsupported on
// platforms without the locks and mappings it needs.
//
// A process may open several stores; each is a process of its own to readers.
func Open(o Opts) (*Store, error) {
	s, err := prepare(o)
	if err == nil {
		err = s.backend.open()
	}
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	s.maintain()
	return s, nil
}

// prepare makes a store whose backend is not open yet. With an error it is one in memory
// that says why.
func prepare(o Opts) (*Store, error) {
	filled, err := o.withDefaults()
	s := &Store{
		opts:     filled,
		now:      clock,
		registry: prometheus.NewRegistry(),
		pid:      fork.Pid(),
		stop:     make(chan struct{}),
	}
	s.mirror = newMirrorer(s)
	if err == nil {
		s.backend, err = newBackend(s, filled.Location)
	}
	if err != nil {
		s.backend = memory{instead: err}
	}
	return s, err
}

// Dir returns the directory that this store was configured with, or "" when
// its metrics are plain in-process ones.
func (s *Store) Dir() string {
	if b, ok := s.backend.(*fileBackend); ok {
		return b.dir
	}
	return ""
}

// Location returns where others see what this store counts: its directory, or the URL
// of a server; "" when its metrics are plain in-process ones.
func (s *Store) Location() string {
	switch {
	case !s.backend.shared():
		return ""
	case s.Dir() != "":
		return s.Dir()
	}
	return s.opts.Location
}

// Access returns whether the store was opened with GroupShared and with
// AllowNetworkFS, by its Opts or by the environment.
func (s *Store) Access() (groupShared, allowNetworkFS bool) {
	return s.opts.GroupShared, s.opts.AllowNetworkFS
}

// Degraded returns why metrics are counted in memory although a directory is
// configured, or nil.
func (s *Store) Degraded() error {
	why := s.backend.degraded()
	s.mu.Lock()
	defer s.mu.Unlock()
	return cmp.Or(why, s.unflushed)
}

// Close ends counting into the file. Its counters stay in the merged total;
// live gauges leave. Calling it is optional: a process that ends without loses
// nothing; on a server, what was counted since the last flush. Instruments can be used after Close, to no effect on any file. Close
// lets an absorption of many dead files that Open began go on for two seconds.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	close(s.stop)
	defer s.mirror.fresh.end()
	if !s.backend.shared() {
		return nil
	}
	if s.done != nil {
		<-s.done
		<-s.flushed
	}
	if fork.Foreign(s.pid) {
		s.forked()
	}
	s.sweep(true)
	s.Flush()
	s.countDropped()
	return s.backend.close()
}

// Describe sends the descriptors of the metrics of this process.
func (s *Store) Describe(ch chan<- *prometheus.Desc) {
	marker.Say()
	for _, f := range s.definitions() {
		f.collector.Describe(ch)
	}
}

// Collect sends the metrics of this process alone, not merged with those of
// others, as they are in its memory. Register package collector's Collector
// for the merged ones, and never both in one registry.
func (s *Store) Collect(ch chan<- prometheus.Metric) {
	for _, f := range s.definitions() {
		f.collector.Collect(ch)
	}
}

func (s *Store) definitions() []*family {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.families[:len(s.families):len(s.families)]
}

// each calls do for every instrument of ours there is, series of vecs included. No lock
// of a vec is held meanwhile: new series would wait for it.
func (s *Store) each(do func(instrument)) {
	for _, f := range s.definitions() {
		if f.mirrored {
			continue
		}
		var all []instrument
		f.children(func(i instrument) { all = append(all, i) })
		for _, i := range all {
			do(i)
		}
	}
}
