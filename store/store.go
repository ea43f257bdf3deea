package store

import (
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
	"github.com/mpmetrics/mpmetrics/internal/layout"
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
	dir  string // the configured directory; empty in memory mode
	id   layout.ID

	// registry holds every definition. It finds duplicates and invalid ones as
	// it would for promauto; nobody gathers it.
	registry *prometheus.Registry

	// part is nil in memory mode, while there is no file, and after Close.
	// Written by open and Close under mu, read anywhere.
	part atomic.Pointer[partition.Partition]

	series  atomic.Int64 // published or waiting for it, against MaxSeries
	dropped atomic.Uint64

	mu       sync.Mutex
	families []*family
	pending  []instrument // on the heap, waiting for room in the file
	degraded error        // why there is no file, or no room in it
	closed   bool

	// The background work's alone.
	moved        []moved
	droppedTotal *counter // nil until something was dropped
	abandoned    bool     // the file is not to be used any more

	stop     chan struct{} // closed by Close
	done     chan struct{} // closed when the background work has ended; nil without
	absorbed chan struct{} // likewise, of an absorption
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
	return &Store{
		opts:     filled,
		dir:      dir,
		id:       layout.NewID(),
		registry: prometheus.NewRegistry(),
		stop:     make(chan struct{}),
	}, err
}

// open makes the file. What has been counted in memory is published by the
// next maintenance.
func (s *Store) open() error {
	sub, err := directory.Ensure(s.dir)
	if err != nil {
		return err
	}
	// Before the file is there: whoever reads it has to find the archive too.
	if _, err := archive.Settle(sub, s.opts.Absorption.ArchiveDir); err != nil {
		return err
	}
	host, _ := os.Hostname() // empty says as much as an error would
	p, err := partition.Create(sub, layout.Header{
		PID:     uint32(os.Getpid()),
		ID:      s.id,
		Start:   time.Now().UnixNano(),
		BootID:  boot.ID(),
		Host:    host,
		Program: filepath.Base(os.Args[0]),
		Process: s.opts.Process,
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.degraded = nil
	s.part.Store(p)
	s.mu.Unlock()
	return nil
}

// Dir returns the directory that this store was configured with, or "" when
// its metrics are plain in-process ones.
func (s *Store) Dir() string { return s.dir }

// Degraded returns why metrics are counted in memory although a directory is
// configured, or nil.
func (s *Store) Degraded() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.degraded
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
	if s.done != nil {
		<-s.done
		<-s.absorbed
	}
	p := s.part.Load()
	if p == nil {
		return nil
	}
	s.countDropped()
	s.flush(p)
	s.mu.Lock()
	waiting, why := len(s.pending), s.degraded
	s.mu.Unlock()
	s.part.Store(nil)
	s.each(func(i instrument) { i.leave() })
	err := p.Close()
	if waiting > 0 {
		err = errors.Join(err, fmt.Errorf("close store: %d series were not published: %w", waiting, why))
	}
	return err
}

// Describe sends the descriptors of the metrics of this process.
func (s *Store) Describe(ch chan<- *prometheus.Desc) {
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

// each calls do for every instrument there is, series of vecs included.
func (s *Store) each(do func(instrument)) {
	for _, f := range s.definitions() {
		metrics := make(chan prometheus.Metric)
		go func() {
			defer close(metrics)
			f.collector.Collect(metrics)
		}()
		for m := range metrics {
			do(m.(instrument))
		}
	}
}
