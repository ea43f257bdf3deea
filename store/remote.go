package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/fork"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/remote"
)

// remoteBackend keeps values on the heap, and publishes them on a server with each
// flush: what was counted since the last one is lost at SIGKILL. While the server
// does not answer nothing waits for it. Values go on, and the first flush that is
// answered publishes all of them.
type remoteBackend struct {
	store    *Store
	location string

	// mu guards what follows. It is not held over an exchange with the server.
	mu        sync.Mutex
	server    remote.Server
	publisher *remote.Publisher // nil in a process that was forked, until it is opened
	placed    map[*series]*remote.Series
	why       error     // the server does not have what it should
	failed    int       // flushes in a row
	next      time.Time // when another one is worth a try

	ctx      context.Context // of an absorption
	cancel   context.CancelFunc
	absorbed sync.WaitGroup
}

const (
	// lives is how many flushes a process may miss until others take it for dead, and
	// leastLife how long it may be silent in any case.
	lives     = 10
	leastLife = 2 * time.Second

	// exchangeTimeout bounds what a flush waits for: a scrape of this process waits for
	// the flush.
	exchangeTimeout = 2 * time.Second

	// endTries is how often the last values are sent: a connection may have been cut since
	// the last flush.
	endTries = 3

	// mostBackOff is how many intervals lie between two flushes at most while the server
	// does not answer.
	mostBackOff = 8
)

func newRemoteBackend(s *Store, location string) (backend, error) {
	b := &remoteBackend{store: s, location: location, placed: map[*series]*remote.Series{}}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	return b, b.begin()
}

// begin makes a process of its own, of which nothing is published. mu is held, or
// nobody else is there yet.
func (b *remoteBackend) begin() error {
	server, err := remote.Open(b.location, b.store.opts.Logger)
	if err != nil {
		return err
	}
	host, _ := os.Hostname() // empty says as much as an error would
	b.server = server
	b.publisher = remote.NewPublisher(server, layout.Header{
		PID: uint32(fork.Pid()), ID: layout.NewID(), PageSize: layout.PageSize,
		Host: host, Program: filepath.Base(os.Args[0]), Process: b.store.opts.Process,
	}, max(lives*b.store.opts.FlushInterval, leastLife))
	for _, s := range b.placed {
		b.publisher.Add(s, nil)
	}
	return nil
}

func (b *remoteBackend) shared() bool  { return true }
func (b *remoteBackend) distant() bool { return true }

func (b *remoteBackend) where() slog.Attr {
	return slog.String("location", remote.Redacted(b.location))
}

func (b *remoteBackend) ready() bool        { return true }
func (b *remoteBackend) shows(*series) bool { return true }

func (b *remoteBackend) degraded() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.why
}

func (b *remoteBackend) open() error {
	b.mu.Lock()
	var err error
	if b.publisher == nil {
		err = b.begin()
	}
	b.mu.Unlock()
	if err != nil {
		return err
	}
	return b.flush()
}

func (b *remoteBackend) start() {
	if b.store.opts.NoAbsorption {
		return
	}
	b.mu.Lock()
	server := b.server
	b.mu.Unlock()
	b.absorbed.Go(func() { b.absorb(server) })
}

// absorb absorbs the dead if there are many, as a process with files does: a namespace
// that nobody scrapes would grow for ever.
func (b *remoteBackend) absorb(server remote.Server) {
	ctx, cancel := context.WithTimeout(b.ctx, exchangeTimeout)
	state, err := server.Look(ctx, nil)
	cancel()
	if err != nil {
		return // the flush says so
	}
	dead := 0
	for _, p := range state.Partitions {
		if !p.Live {
			dead++
		}
	}
	if dead > manyFiles {
		b.store.absorb(b.ctx, b.location, b.store.opts.Absorption)
	}
}

func (b *remoteBackend) enter(i instrument, earlier *series) {
	i.keep()
	s := i.base()
	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.placed[earlier]
	delete(b.placed, earlier)
	b.placed[s] = remote.NewSeries(&s.family.def, s.values, s.created.Load, i.load)
	if b.publisher != nil {
		b.publisher.Add(b.placed[s], before)
	}
}

func (b *remoteBackend) depart(s *series) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if placed, there := b.placed[s]; there {
		delete(b.placed, s)
		if b.publisher != nil {
			b.publisher.Remove(placed)
		}
	}
}

func (b *remoteBackend) stage(changed mirrored) {
	named := make(map[string]string, len(changed.families)+len(changed.exemplars))
	for name, value := range changed.families {
		named[remote.MirrorField+name] = string(value)
	}
	for name, value := range changed.exemplars {
		named[remote.ExemplarField+name] = string(value)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.publisher != nil {
		b.publisher.Set(named)
	}
}

// flush publishes, unless the server did not answer lately: then it says again why.
func (b *remoteBackend) flush() error {
	now := b.store.now()
	b.mu.Lock()
	p, why, next := b.publisher, b.why, b.next
	b.mu.Unlock()
	if p == nil || why != nil && now.Before(next) {
		return why
	}
	ctx, cancel := context.WithTimeout(context.Background(), exchangeTimeout)
	defer cancel()
	err := p.Flush(ctx)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.why = err; err == nil {
		b.failed = 0
		return nil
	}
	// Half of it is chance: a server that comes back is not to meet everybody at once.
	wait := b.store.opts.FlushInterval * time.Duration(min(1<<b.failed, mostBackOff))
	b.failed = min(b.failed+1, mostBackOff)
	b.next = now.Add(wait/2 + rand.N(wait/2+1))
	return err
}

// forked leaves the connections to the parent, whose they are. That of this process
// are made by open.
func (b *remoteBackend) forked() {
	// A thread that this process does not have may hold it.
	b.mu = sync.Mutex{}
	b.server, b.publisher, b.why, b.failed = nil, nil, nil, 0
}

func (b *remoteBackend) close() error {
	b.cancel()
	b.absorbed.Wait()
	b.mu.Lock()
	p, server, why := b.publisher, b.server, b.why
	b.publisher = nil
	b.mu.Unlock()
	if p == nil {
		return why
	}
	ctx, cancel := context.WithTimeout(context.Background(), exchangeTimeout)
	defer cancel()
	var err error
	for range endTries { // there is no next flush that would make up for it
		if err = p.End(ctx); !errors.Is(err, remote.ErrUnreachable) || ctx.Err() != nil {
			break
		}
	}
	server.Close()
	if err != nil {
		return fmt.Errorf("close store: the last values are not published: %w", err)
	}
	return nil
}
