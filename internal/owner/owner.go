// Package owner is the place that is a file: the process that owns the file writes it, in
// a directory that other processes read.
package owner

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/archive"
	"github.com/mpmetrics/mpmetrics/internal/boot"
	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/fork"
	"github.com/mpmetrics/mpmetrics/internal/instrument"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/ownerfile"
	"github.com/mpmetrics/mpmetrics/internal/place"
)

// Config says which file a Place makes, and how. Tick, Now, Logger and Host are required.
type Config struct {
	Dir        string // the configured directory; the files are in its subdirectory
	ArchiveDir string // the configured directory of the archive, usually empty
	Access     directory.Access
	Process    string // the value of the label "process"
	Logger     *slog.Logger

	Tick time.Duration    // interval of the background work
	Now  func() time.Time // says how long a cell, or a file, was left alone

	NoAbsorption bool // other processes absorb the dead
	Host         Host
}

// Host is the store of a Place.
type Host interface {
	// Absorb absorbs the dead processes of the directory until ctx ends, if there are at
	// least minDead. Absorb is called once, after Start.
	Absorb(ctx context.Context, minDead int)
	// Mirrors reports whether there is a foreign collector: Close then says that the
	// families of the collector are in no file.
	Mirrors() bool
}

// Place keeps values in a file of this process. See package place for the order of the
// locks.
type Place struct {
	Config
	catalog *instrument.Catalog

	// state is written by enterState, with maintaining held, and read anywhere.
	state atomic.Uint32

	// part is where new series go: the file while the state is published, otherwise nil.
	// Written with maintaining held, read anywhere.
	part atomic.Pointer[ownerfile.File]

	mu      sync.Mutex
	pending waiting              // on the heap, waiting for room in the file
	owed    []*instrument.Series // gone, and there was no room for their gone records
	leaving []*instrument.Series // gone, and to be released
	shares  []*instrument.Series // shares whose records had no room
	why     error                // there is no file, or no room in the file
	turn    chan struct{}        // closed at the end of the turn of the background work
	stuck   bool                 // a series has waited for the turn in vain

	mirroring sync.Mutex // held over transactions; guards mirror
	mirror    mirror

	// maintaining is held over one turn of the background work, and over any work that
	// must not run beside a turn. It guards the fields below.
	maintaining sync.Mutex
	pid         int  // the process that opened the place; never changes
	speaks      bool // the log takes errors; never changes
	id          layout.ID
	began       int64           // start of the process, Unix nanoseconds: when the first file was made
	current     *ownerfile.File // the file in which published series are; nil: there is none
	next        *ownerfile.File // the file into which the series move, not published yet; usually nil
	moving      error           // why the series move
	retired     []retired       // files that all series have left
	moved       []moved

	stop     chan struct{} // closed by Close, with mu held: the place takes no new series in
	done     chan struct{} // closed when the background work has ended; nil without
	absorbed chan struct{} // likewise, of an absorption
}

var _ place.Place = (*Place)(nil)

// New makes a place for the series of a catalog. New makes no file: Open does.
func New(c Config, catalog *instrument.Catalog) *Place {
	return &Place{
		Config: c, catalog: catalog, pid: fork.Pid(), id: layout.NewID(), stop: make(chan struct{}), turn: make(chan struct{}),
		speaks: c.Logger.Enabled(context.Background(), slog.LevelError),
	}
}

// Shared implements place.Place.
func (p *Place) Shared() bool { return true }

// Where implements place.Place.
func (p *Place) Where() slog.Attr { return slog.String("dir", p.Dir) }

// Distant implements place.Place.
func (p *Place) Distant() bool { return false }

// Ready implements place.Place.
func (p *Place) Ready() bool {
	s := p.currentState()
	return s == published || s == moving
}

// Degraded implements place.Place.
func (p *Place) Degraded() error {
	if fork.Foreign(p.pid) {
		return place.ErrForked
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.why
}

// Open makes the file. Values that have been counted in memory are published by the
// next maintenance.
func (p *Place) Open(context.Context) error {
	p.maintaining.Lock()
	defer p.maintaining.Unlock()
	if p.currentState() != absent {
		return p.Degraded()
	}
	return p.openFile()
}

// openFile is Open with maintaining held.
func (p *Place) openFile() error {
	f, err := p.publishedFile()
	if err != nil {
		err = directory.Advise(err)
		p.mu.Lock()
		p.why = err
		p.mu.Unlock()
		return err
	}
	p.countInto(f, opened)
	return nil
}

// publishedFile makes a file of this process that readers see. Before the file is locked, an absorber
// whose clock is ahead takes the file for one that was left a minute ago, and removes the file:
// publishedFile makes another one.
func (p *Place) publishedFile() (*ownerfile.File, error) {
	const tries = 3
	for n := 1; ; n++ {
		f, err := p.prepareFile()
		if err != nil {
			return nil, err
		}
		if err = f.Publish(); err == nil {
			return f, nil
		}
		err = errors.Join(err, f.Close())
		if n == tries || !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
}

// prepareFile makes a file of this process that is not published yet.
func (p *Place) prepareFile() (*ownerfile.File, error) {
	ensure := directory.Ensure
	if p.current != nil {
		ensure = directory.EnsureAgain
	}
	sub, err := ensure(p.Dir, p.Access)
	if err != nil {
		return nil, err
	}
	// The archive is settled before the file exists: a reader of the file has to find the
	// archive too.
	switch _, err := archive.Settle(sub, p.ArchiveDir, p.Access); {
	case errors.Is(err, archive.ErrAway): // readers know where the archive is, and wait
		go p.Logger.Warn("mpmetrics: totals are missing until the archive is there; the counts of this process are kept", p.Where(), "err", err)
	case err != nil:
		return nil, err
	}
	if p.began == 0 {
		p.began = time.Now().UnixNano()
	}
	host, _ := os.Hostname() // empty says as much as an error would
	return ownerfile.Prepare(sub, layout.Header{
		PID:     uint32(p.pid),
		ID:      p.id,
		Start:   p.began,
		BootID:  boot.ID(),
		Host:    host,
		Program: layout.ProgramOf(os.Args),
		Process: p.Process,
	})
}

// countInto makes a published file the file to which series go.
func (p *Place) countInto(f *ownerfile.File, because event) {
	p.current = f
	p.mu.Lock()
	p.why = nil
	p.part.Store(f)
	p.mu.Unlock()
	p.enterState(because)
}

// closing reports whether Close was called. mu is held.
func (p *Place) closing() bool {
	select {
	case <-p.stop:
		return true
	default:
		return false
	}
}

// Close ends counting into the file. Close lets an absorption of many dead files go on
// for two seconds.
func (p *Place) Close() error {
	if fork.Foreign(p.pid) {
		fork.Notice()
		return place.ErrForked // the background work, for which Close waits, may not run
	}
	defer fork.Forget(p)
	p.mu.Lock()
	close(p.stop)
	p.mu.Unlock()
	if p.done != nil {
		<-p.done
		<-p.absorbed
	}
	p.maintaining.Lock()
	defer p.maintaining.Unlock()
	defer p.enterState(closing)
	p.look()
	p.forgetGone()
	if f := p.part.Load(); f != nil {
		// The flush before has logged the error, and Degraded shows the error.
		_ = p.writeMirror()
		p.publishAll(f)
	}
	lost := p.unpublished()
	p.part.Store(nil)
	p.catalog.Each(instrument.Instrument.Leave)
	return errors.Join(p.closeFiles(), lost)
}

// unpublished says what no reader will find in a file that is about to be closed.
func (p *Place) unpublished() error {
	p.mu.Lock()
	waiting, why := p.pending.len(), p.why
	p.mu.Unlock()
	var errs []error
	if p.part.Load() == nil {
		if p.Host.Mirrors() {
			errs = append(errs, fmt.Errorf("close store: foreign collectors are in no file: %w", why))
		}
		p.catalog.Each(func(i instrument.Instrument) {
			if i.Base().Place.Home.Load() != nil {
				waiting++
			}
		})
	}
	if waiting > 0 {
		errs = append(errs, fmt.Errorf("close store: %d series are in no file: %w", waiting, why))
	}
	return errors.Join(errs...)
}

// closeFiles closes all files, after every instrument has left them.
func (p *Place) closeFiles() error {
	var errs []error
	for _, f := range [...]*ownerfile.File{p.current, p.next} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	for _, r := range p.retired {
		errs = append(errs, r.Close())
	}
	p.current, p.next, p.retired = nil, nil, nil
	return errors.Join(errs...)
}
