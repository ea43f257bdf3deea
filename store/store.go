package store

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/internal/archive"
	"github.com/mpmetrics/mpmetrics/internal/boot"
	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/fork"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/marker"
	"github.com/mpmetrics/mpmetrics/internal/partition"
)

// Store is where the metrics of this process are kept: in its own file in a
// shared directory, or in memory.
//
// Lock order: the lock of a vec, then mu, then the partition's, then that of an
// instrument. None of ours is held while Collect, Describe or a user's code
// runs, and none of them over a system call.
type Store struct {
	opts Opts
	now  func() time.Time // says how long something was left alone
	dir  string           // the configured directory; empty in memory mode
	id   layout.ID
	// start of the process in its file, Unix nanoseconds: when the first one was
	// made. The background work's, as id is.
	start int64

	// registry holds every definition, and every collector of Registerer. It finds
	// duplicates and invalid ones as it would for promauto; nobody gathers it.
	registry *prometheus.Registry

	mirror *mirrorer // of what Registerer takes

	// part is where new series go: nil in memory mode, while there is no file or
	// everything moves into another one, and after Close. Written by open, by the
	// background work and by Close, read anywhere.
	part atomic.Pointer[partition.Partition]

	series  atomic.Int64 // published or waiting for it, against MaxSeries
	dropped atomic.Uint64

	mu       sync.Mutex
	families []*family
	born     uint64       // series of vecs made so far
	owed     []*series    // gone, but there was no room for their gone records
	leaving  []*series    // gone, and to be released
	pending  []instrument // on the heap, waiting for room in the file
	degraded error        // why there is no file, or no room in it
	closed   bool

	unmirroredFor error // why the last flush failed

	// The background work's alone, and that of open before and Close behind it.
	pid          int                  // of this process; another one in a process that was forked from it
	current      *partition.Partition // where the series are that were published; nil: none were
	next         *partition.Partition // where they are moving to, not published yet; usually nil
	why          error                // they do
	retired      []retired            // where they were
	moved        []moved
	droppedTotal *counter // nil until something was dropped
	abandoned    bool     // the file is not to be used any more

	stop     chan struct{} // closed by Close
	done     chan struct{} // closed when the background work has ended; nil without
	absorbed chan struct{} // likewise, of an absorption
	flushed  chan struct{} // likewise, of flushes
}

// Open opens a store. With a directory it makes the file of this process, and
// returns an error that says why when it cannot: errors.ErrUnsupported on
// platforms without the locks and mappings it needs.
//
// A process may open several stores; each is a process of its own to readers.
func Open(o Opts) (*Store, error) {
	s, err := prepare(o)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if s.dir != "" {
		if err := s.open(); err != nil {
			return nil, fmt.Errorf("open store: %w", err)
		}
		s.maintain()
	}
	return s, nil
}

// prepare makes a store that has no file yet.
func prepare(o Opts) (*Store, error) {
	filled, dir, err := o.withDefaults()
	s := &Store{
		opts:     filled,
		now:      clock,
		dir:      dir,
		id:       layout.NewID(),
		registry: prometheus.NewRegistry(),
		pid:      fork.Pid(),
		stop:     make(chan struct{}),
	}
	s.mirror = newMirrorer(s)
	return s, err
}

// open makes the file. What has been counted in memory is published by the
// next maintenance.
func (s *Store) open() error {
	p, err := s.prepareFile()
	if err != nil {
		return err
	}
	if err := p.Publish(); err != nil {
		return errors.Join(err, p.Close())
	}
	s.countInto(p)
	return nil
}

// prepareFile makes a file of this process that is not published yet.
func (s *Store) prepareFile() (*partition.Partition, error) {
	sub, err := directory.Ensure(s.dir, s.opts.access())
	if err != nil {
		return nil, err
	}
	// Before the file is there: whoever reads it has to find the archive too.
	if _, err := archive.Settle(sub, s.opts.Absorption.ArchiveDir, s.opts.access()); err != nil {
		return nil, err
	}
	if s.start == 0 {
		s.start = time.Now().UnixNano()
	}
	host, _ := os.Hostname() // empty says as much as an error would
	return partition.Prepare(sub, layout.Header{
		PID:     uint32(s.pid),
		ID:      s.id,
		Start:   s.start,
		BootID:  boot.ID(),
		Host:    host,
		Program: filepath.Base(os.Args[0]),
		Process: s.opts.Process,
	})
}

// countInto makes a published file the one that series go to.
func (s *Store) countInto(p *partition.Partition) {
	s.current = p
	s.mu.Lock()
	s.degraded = nil
	s.part.Store(p)
	s.mu.Unlock()
}

// Dir returns the directory that this store was configured with, or "" when
// its metrics are plain in-process ones.
func (s *Store) Dir() string { return s.dir }

// Access returns whether the store was opened with GroupShared and with
// AllowNetworkFS, by its Opts or by the environment.
func (s *Store) Access() (groupShared, allowNetworkFS bool) {
	return s.opts.GroupShared, s.opts.AllowNetworkFS
}

// Degraded returns why metrics are counted in memory although a directory is
// configured, or nil.
func (s *Store) Degraded() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return cmp.Or(s.degraded, s.unmirroredFor)
}

// Close ends counting into the file. Its counters stay in the merged total;
// live gauges leave. Calling it is optional: a process that ends without loses
// nothing. Instruments can be used after Close, to no effect on any file. Close
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
	if s.done != nil {
		<-s.done
		<-s.absorbed
		<-s.flushed
	}
	if fork.Foreign(s.pid) {
		s.forked()
	}
	if s.current == nil {
		return nil
	}
	s.look()
	s.sweep(true)
	if p := s.part.Load(); p != nil {
		s.Flush()
		s.countDropped()
		s.flush(p)
	}
	s.mu.Lock()
	waiting, why := len(s.pending), s.degraded
	s.mu.Unlock()
	if s.part.Load() == nil {
		s.each(func(i instrument) {
			if i.base().home.Load() != nil {
				waiting++
			}
		})
	}
	mirrored := s.part.Load() != nil || !s.mirror.used()
	s.part.Store(nil)
	s.each(func(i instrument) { i.leave() })
	err := s.closeFiles()
	if !mirrored {
		err = errors.Join(err, fmt.Errorf("close store: collectors of others are in no file: %w", why))
	}
	if waiting > 0 {
		err = errors.Join(err, fmt.Errorf("close store: %d series are in no file: %w", waiting, why))
	}
	return err
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
