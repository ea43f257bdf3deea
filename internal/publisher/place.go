// Package publisher is the place that is a server: values are words on the heap, and each
// flush publishes the words that have changed.
package publisher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/fork"
	"github.com/mpmetrics/mpmetrics/internal/instrument"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/location"
	"github.com/mpmetrics/mpmetrics/internal/place"
	"github.com/mpmetrics/mpmetrics/internal/remote"
)

// Config says where a Place publishes. All fields but NoAbsorption are required.
type Config struct {
	Location      location.Location // of the server
	Process       string            // the value of the label "process"
	FlushInterval time.Duration
	Logger        *slog.Logger
	Now           func() time.Time

	NoAbsorption bool // other processes absorb the dead
	Host         Host
}

// Host is the store of a Place.
type Host interface {
	// Absorb absorbs the dead processes of the server until ctx ends, if there are at
	// least minDead. Absorb is called once, after Start.
	Absorb(ctx context.Context, minDead int)
}

// Place keeps values on the heap, and publishes them on a server with each flush: SIGKILL
// loses the counts since the last flush. While the server does not answer, no update
// waits; the first flush that is answered publishes all values.
type Place struct {
	Config
	pid    int  // the process that opened the place
	speaks bool // the log takes errors
	server remote.Server

	// mu guards the fields below. It is not held over an exchange with the server.
	mu        sync.Mutex
	publisher *Publisher // nil after Close
	placed    map[*instrument.Series]placed
	why       error     // the server lacks values
	failed    int       // flushes in a row
	next      time.Time // when the next flush is worth a try

	stop     chan struct{} // closed by Close
	absorbed sync.WaitGroup
}

var _ place.Place = (*Place)(nil)

const (
	// missedFlushes is how many flushes a process may miss before other processes take the
	// process for dead, and leastLife is how long it may be silent in any case.
	missedFlushes = 10
	leastLife     = 2 * time.Second

	// exchangeTimeout bounds a flush, because a scrape of this process waits for the flush.
	exchangeTimeout = 2 * time.Second

	// endTries is how often the last values are sent: a connection may have been cut since
	// the last flush.
	endTries = 3

	// mostBackOff is how many intervals lie between two flushes at most while the server
	// does not answer.
	mostBackOff = 8
)

// New makes a place, and does not connect yet. The error says that the location cannot be
// used.
func New(c Config) (*Place, error) {
	server, err := remote.Connect(c.Location, c.Logger)
	if err != nil {
		return nil, err
	}
	host, _ := os.Hostname() // empty says as much as an error would
	return &Place{
		Config: c, pid: fork.Pid(), server: server, speaks: c.Logger.Enabled(context.Background(), slog.LevelError),
		publisher: NewPublisher(server, layout.Header{
			PID: uint32(fork.Pid()), ID: layout.NewID(), PageSize: layout.PageSize,
			Host: host, Program: layout.ProgramOf(os.Args), Process: c.Process,
		}, max(missedFlushes*c.FlushInterval, leastLife)),
		placed: map[*instrument.Series]placed{},
		stop:   make(chan struct{}),
	}, nil
}

// Shared implements place.Place.
func (p *Place) Shared() bool { return true }

// Distant implements place.Place.
func (p *Place) Distant() bool { return true }

// Where implements place.Place.
func (p *Place) Where() slog.Attr {
	return p.Location.Attr()
}

// Ready implements place.Place.
func (p *Place) Ready() bool { return true }

// Shows implements place.Place.
func (p *Place) Shows(*instrument.Series) bool { return true }

// Degraded implements place.Place.
func (p *Place) Degraded() error {
	if fork.Foreign(p.pid) {
		return place.ErrForked
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.why
}

// Open implements place.Place.
func (p *Place) Open(ctx context.Context) error { return p.Flush(ctx) }

// Start implements place.Place.
func (p *Place) Start() {
	fork.Watch(p)
	if p.NoAbsorption {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-p.stop
		cancel()
	}()
	p.absorbed.Go(func() {
		if p.crowded(ctx) {
			p.Host.Absorb(ctx, 1)
		}
	})
}

// crowded reports whether there are more than directory.Crowded dead processes, as a process with files
// checks too: a namespace that no process scrapes would grow for ever.
func (p *Place) crowded(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	state, err := p.server.Look(ctx, nil)
	if err != nil {
		return false // the flush reports the error
	}
	dead := 0
	for _, partition := range state.Partitions {
		if !partition.Live {
			dead++
		}
	}
	return dead > directory.Crowded
}

// Enter implements place.Place.
func (p *Place) Enter(i instrument.Instrument, earlier *instrument.Series) {
	fork.Notice()
	s := i.Base()
	if !s.Beyond() {
		i.Keep()
	}
	if fork.Foreign(p.pid) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.placed[earlier]
	delete(p.placed, earlier)
	w := &writer{}
	w.instrument.Store(&i)
	now := placed{NewSeries(&s.Family.Def, s.Values, w.created, w.load), w}
	p.placed[s] = now
	if p.publisher != nil {
		p.publisher.Add(now.Series, before.Series)
	}
}

// Await implements place.Place. A series is published by a flush.
func (p *Place) Await(*instrument.Series) {}

// placed is a series in the publisher, with its writer.
type placed struct {
	*Series
	writer *writer
}

// writer is the instrument of a series, which another instrument may take over.
type writer struct {
	instrument atomic.Pointer[instrument.Instrument]
}

func (w *writer) created() int64      { return (*w.instrument.Load()).Base().Created.Load() }
func (w *writer) load(words []uint64) { (*w.instrument.Load()).Load(words) }

// Hand implements place.Place.
func (p *Place) Hand(from instrument.Instrument, to instrument.Heir) bool {
	return p.hand(from, to, false)
}

// Share implements place.Place.
func (p *Place) Share(from instrument.Instrument, to instrument.Heir) bool {
	return p.hand(from, to, true)
}

func (p *Place) hand(from instrument.Instrument, to instrument.Heir, share bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	before, there := p.placed[from.Base()]
	if !there || p.publisher == nil {
		return false
	}
	to.TakeOver(from)
	delete(p.placed, from.Base())
	p.placed[to.Base()] = before
	before.writer.instrument.Store(new(instrument.Instrument(to)))
	p.publisher.SetShare(before.Series, share)
	return true
}

// Depart implements place.Place.
func (p *Place) Depart(s *instrument.Series) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if gone, there := p.placed[s]; there {
		delete(p.placed, s)
		if p.publisher != nil {
			p.publisher.Remove(gone.Series)
		}
	}
}

// LeaveToParent implements fork.Leaver. The connections stay open, and unused.
func (p *Place) LeaveToParent() {
	if fork.Foreign(p.pid) && p.speaks {
		place.SayForked(p.Where())
	}
}

// Stage implements place.Place.
func (p *Place) Stage(changed place.Mirrored) {
	named := make(map[string]string, len(changed.Families)+len(changed.Exemplars))
	for name, value := range changed.Families {
		named[remote.MirrorField+name] = string(value)
	}
	for name, value := range changed.Exemplars {
		named[remote.ExemplarField+name] = string(value)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.publisher != nil {
		p.publisher.Set(named)
	}
}

// Flush publishes, unless the server did not answer lately: then Flush returns the last
// error again.
func (p *Place) Flush(ctx context.Context) error {
	if fork.Foreign(p.pid) {
		fork.Notice()
		return place.ErrForked // the connections belong to the parent
	}
	now := p.Now()
	p.mu.Lock()
	publisher, why, next := p.publisher, p.why, p.next
	p.mu.Unlock()
	if publisher == nil || why != nil && now.Before(next) {
		return why
	}
	ctx, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	err := publisher.Flush(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.why = err
	if err == nil {
		p.failed = 0
		return nil
	}
	// Half of the wait is random: a server that restarts is not to meet all processes at
	// once.
	wait := p.FlushInterval * time.Duration(min(1<<p.failed, mostBackOff))
	p.failed = min(p.failed+1, mostBackOff)
	p.next = now.Add(wait/2 + rand.N(wait/2+1))
	return err
}

// Close implements place.Place.
func (p *Place) Close() error {
	if fork.Foreign(p.pid) {
		fork.Notice()
		return place.ErrForked // the background work, for which Close waits, may not run
	}
	defer fork.Forget(p)
	close(p.stop)
	p.absorbed.Wait()
	p.mu.Lock()
	publisher := p.publisher
	p.publisher = nil
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), exchangeTimeout)
	defer cancel()
	var err error
	for range endTries { // no later flush would make up for a lost one
		if err = publisher.End(ctx); !errors.Is(err, remote.ErrUnreachable) || ctx.Err() != nil {
			break
		}
	}
	p.server.Close()
	if err != nil {
		return fmt.Errorf("close store: the last values are not published: %w", err)
	}
	return nil
}
