//go:build unix

package reader

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// An archive in the place of a process's file would be counted beside itself, and
// a process's file in its place would be all that the dead have counted.
func TestArchiveAndProcess(t *testing.T) {
	l := newLogFile(t)
	_, err := OpenArchive(l.path)
	wantError(t, err, "file of a process in the place of the archive")
	if !errors.Is(err, layout.ErrDamaged) {
		t.Errorf("error %v, want %v", err, layout.ErrDamaged)
	}
	id := layout.NewID()
	path := filepath.Join(t.TempDir(), layout.FileName(1, id))
	putLogFile(t, path, layout.Header{PID: 1, ID: id, Kind: layout.ArchiveFile}, firstLog)
	_, err = Open(path)
	wantError(t, err, "an archive in the place of a process's file")
	if !errors.Is(err, ErrCopy) {
		t.Errorf("error %v, want %v", err, ErrCopy)
	}
}

// A file with holes takes no disk, and would take the memory of its reader.
func TestFileAboveTheLimit(t *testing.T) {
	l := newLogFile(t)
	if err := os.Truncate(l.path, maxFileBytes+1); err != nil {
		t.Skip(err) // not every file system has files so long
	}
	_, err := Open(l.path)
	wantError(t, err, "1073741825 bytes, more than 1073741824")
	if !errors.Is(err, layout.ErrLimit) {
		t.Errorf("error %v, want %v", err, layout.ErrLimit)
	}
}

// What is written over a file that is being read is not read on as if it were the
// same.
func TestWrittenOver(t *testing.T) {
	for _, test := range []struct {
		name  string
		other func(h *layout.Header)
		order []uint32
		want  string
	}{
		{name: "another process", other: func(h *layout.Header) { h.ID = layout.NewID() }, order: []uint32{firstLog, cellSlab}, want: "has another generation"},
		{name: "another generation", other: func(h *layout.Header) { h.Generation++ }, order: []uint32{firstLog, cellSlab}, want: "has another generation"},
		{name: "copy", other: func(h *layout.Header) { h.Inode++ }, order: []uint32{firstLog, cellSlab}, want: "the header says"},
		{name: "moved slabs", other: func(*layout.Header) {}, order: []uint32{secondLog, thirdLog, cellSlab, firstLog}, want: "moved from"},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLogFile(t)
			f := open(t, l.path)
			other, h := filepath.Join(t.TempDir(), "other"), *f.Header()
			test.other(&h)
			putLogFile(t, other, h, test.order...)
			content := readFile(t, other)
			// The reader looks again when there is a transaction it does not know.
			commit(t, content)
			if _, err := l.f.WriteAt(content, 0); err != nil {
				t.Fatal(err)
			}
			wantError(t, f.Refresh(), test.want)
		})
	}
}

// commit makes the newest transaction of a file a newer one.
func commit(t *testing.T, file []byte) {
	t.Helper()
	m, err := readMetas(memoryOf(file), layout.PageSize)
	if err != nil {
		t.Fatal(err)
	}
	newest, err := m.newest()
	if err != nil {
		t.Fatal(err)
	}
	b := book(file)
	b.sealRoot(int(newest.txid+1)%2, newest.txid+1, newest.root, newest.pages)
}

// A commit group that is written without pause, and never adds up, may be sound:
// the next scrape will see.
func TestBusyCommitGroup(t *testing.T) {
	p := owner(t)
	cells := appendSeries(t, p, appendFamily(t, p, &layout.Family{Type: layout.Histogram, Name: "h", Help: "H."}), nil, layout.Commit(5, 0), 0, 0, 0)
	f := open(t, p.Path())
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for n := uint64(5); ; n++ {
			select {
			case <-stop:
				return
			default:
				cells[layout.CommitWord].Store(layout.Commit(5+n%100, 0))
			}
		}
	}()
	var err error
	for range 1000 { // the writer may wait for a core during all tries of one
		if _, err = f.Load(); errors.Is(err, ErrBusy) {
			break
		}
	}
	close(stop)
	<-stopped
	if !errors.Is(err, ErrBusy) {
		t.Errorf("error %v, want %v", err, ErrBusy)
	}
}

// Of a file that is final nothing more is read.
func TestFinal(t *testing.T) {
	l := newLogFile(t)
	f := open(t, l.path)
	f.Finish()
	if err := os.Remove(l.path); err != nil {
		t.Fatal(err)
	}
	if err := f.Refresh(); err != nil || !f.Final() || !f.Resting() {
		t.Errorf("refresh: %v; final %v, resting %v", err, f.Final(), f.Resting())
	}
	if err := f.Reopen(0); err == nil || errors.Is(err, directory.ErrRefused) {
		t.Errorf("reopened a file that is gone: %v", err)
	}
}
