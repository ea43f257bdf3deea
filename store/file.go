package store

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/archive"
	"github.com/mpmetrics/mpmetrics/internal/boot"
	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/fork"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/ownerfile"
)

// fileBackend keeps values in a file of this process, in a directory that others
// read.
//
// Lock order: maintaining, mirroring, the store's mu, mu, the partition's, that of an
// instrument. mu is never held over a system call, or over anything that waits for one.
type fileBackend struct {
	store *Store
	dir   string

	// part is where new series go: nil while there is no file or everything moves into
	// another one, and after close. Written with maintaining held, read anywhere.
	part atomic.Pointer[ownerfile.File]

	// opened says that there is a file, or soon will be another one for what is in it.
	// Written as part is.
	opened atomic.Bool

	mu      sync.Mutex
	pending []instrument // on the heap, waiting for room in the file
	owed    []*series    // gone, but there was no room for their gone records
	leaving []*series    // gone, and to be released
	why     error        // there is no file, or no room in it
	closed  bool

	mirroring sync.Mutex // held over transactions; guards mirror
	mirror    fileMirror

	// maintaining is held over one turn of the background work, and whatever must not
	// meet it. It guards all that follows.
	maintaining sync.Mutex
	pid         int // of this process; another one in a process that was forked from it
	id          layout.ID
	began       int64           // start of the process, Unix nanoseconds: when the first file was made
	current     *ownerfile.File // where the series are that were published; nil: none were
	next        *ownerfile.File // where they are moving to, not published yet; usually nil
	moving      error           // why they do
	retired     []retired       // where they were
	moved       []moved
	orphan      bool // forked, and no file of its own yet
	abandoned   bool // the file is not to be used any more

	stop     chan struct{} // closed by close
	done     chan struct{} // closed when the background work has ended; nil without
	absorbed chan struct{} // likewise, of an absorption
}

func newFileBackend(s *Store, location string) (backend, error) {
	dir, err := Directory(location)
	if err != nil {
		return nil, err
	}
	return &fileBackend{store: s, dir: dir, pid: fork.Pid(), id: layout.NewID(), stop: make(chan struct{})}, nil
}

func (b *fileBackend) shared() bool     { return true }
func (b *fileBackend) where() slog.Attr { return slog.String("dir", b.dir) }
func (b *fileBackend) distant() bool    { return false }
func (b *fileBackend) ready() bool      { return b.opened.Load() }

func (b *fileBackend) degraded() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.why
}

// open makes the file. What has been counted in memory is published by the
// next maintenance.
func (b *fileBackend) open() error {
	b.maintaining.Lock()
	defer b.maintaining.Unlock()
	if fork.Foreign(b.pid) {
		b.adopt()
	}
	return b.openFile()
}

// openFile is open with maintaining held.
func (b *fileBackend) openFile() error {
	p, err := b.prepareFile()
	if err == nil {
		if err = p.Publish(); err != nil {
			err = errors.Join(err, p.Close())
		}
	}
	if err == nil {
		b.orphan = false
		b.countInto(p)
		return nil
	}
	if b.orphan {
		err = errors.Join(errors.New("this process was forked and needs a file of its own"), err)
	}
	b.mu.Lock()
	b.why = err
	b.mu.Unlock()
	return err
}

// prepareFile makes a file of this process that is not published yet.
func (b *fileBackend) prepareFile() (*ownerfile.File, error) {
	o := &b.store.opts
	sub, err := directory.Ensure(b.dir, o.access())
	if err != nil {
		return nil, err
	}
	// Before the file is there: whoever reads it has to find the archive too.
	if _, err := archive.Settle(sub, o.Absorption.ArchiveDir, o.access()); err != nil {
		return nil, err
	}
	if b.began == 0 {
		b.began = time.Now().UnixNano()
	}
	host, _ := os.Hostname() // empty says as much as an error would
	return ownerfile.Prepare(sub, layout.Header{
		PID:     uint32(b.pid),
		ID:      b.id,
		Start:   b.began,
		BootID:  boot.ID(),
		Host:    host,
		Program: filepath.Base(os.Args[0]),
		Process: o.Process,
	})
}

// countInto makes a published file the one that series go to.
func (b *fileBackend) countInto(p *ownerfile.File) {
	b.current = p
	b.mu.Lock()
	b.why = nil
	b.part.Store(p)
	b.mu.Unlock()
	b.opened.Store(true)
}

// close ends counting into the file. It lets an absorption of many dead files go on for
// two seconds.
func (b *fileBackend) close() error {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	close(b.stop)
	if b.done != nil {
		<-b.done
		<-b.absorbed
	}
	b.maintaining.Lock()
	defer b.maintaining.Unlock()
	if b.current == nil {
		return nil
	}
	b.look()
	b.forgetGone()
	if p := b.part.Load(); p != nil {
		// Its error was logged by the flush before, and is shown.
		_ = b.flush()
		b.publishAll(p)
	}
	nowhere := b.nowhere()
	b.opened.Store(false)
	b.part.Store(nil)
	b.store.each(func(i instrument) { i.leave() })
	return errors.Join(b.closeFiles(), nowhere)
}

// nowhere says what nobody will find in a file that is about to be closed.
func (b *fileBackend) nowhere() error {
	b.mu.Lock()
	waiting, why := len(b.pending), b.why
	b.mu.Unlock()
	if b.part.Load() != nil {
		if waiting == 0 {
			return nil
		}
		return fmt.Errorf("close store: %d series are in no file: %w", waiting, why)
	}
	var errs []error
	if b.store.mirror.used() {
		errs = append(errs, fmt.Errorf("close store: collectors of others are in no file: %w", why))
	}
	b.store.each(func(i instrument) {
		if i.base().place.home.Load() != nil {
			waiting++
		}
	})
	if waiting > 0 {
		errs = append(errs, fmt.Errorf("close store: %d series are in no file: %w", waiting, why))
	}
	return errors.Join(errs...)
}

// closeFiles closes all files, after every instrument has left them.
func (b *fileBackend) closeFiles() error {
	errs := []error{b.current.Close()}
	if b.next != nil {
		errs = append(errs, b.next.Close())
	}
	for _, r := range b.retired {
		errs = append(errs, r.Close())
	}
	b.current, b.next, b.retired = nil, nil, nil
	return errors.Join(errs...)
}
