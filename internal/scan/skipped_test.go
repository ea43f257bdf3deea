//go:build unix

package scan

import (
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/archive"
	"github.com/mpmetrics/mpmetrics/internal/boot"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/ownerfile"
)

// opens counts how often files are opened.
type opens struct {
	Disk
	n atomic.Int64
}

func (d *opens) Open(name string) (File, error) {
	d.n.Add(1)
	return d.Disk.Open(name)
}

// skipped checks that the last scan skips so many files for a reason.
func (w *world) skipped(what string, reason Reason, n int) {
	w.t.Helper()
	if got := w.Found().Skipped; got[reason] != n || n == 0 && len(got) > 0 {
		w.t.Errorf("%s: skipped %v, want %d as %s", what, got, n, reason)
	}
}

// A file that was refused is not opened in each scan, and is read as soon as it changes in a way
// that no byte of it shows.
func TestRefusedFileGivenBack(t *testing.T) {
	for _, c := range []struct {
		name       string
		root       bool
		take, give func(path string) error
		reason     Reason
	}{
		{
			name: "to another user", root: true, reason: Refused,
			take: func(path string) error { return os.Chown(path, 12345, 12345) },
			give: func(path string) error { return os.Chown(path, os.Geteuid(), os.Getegid()) },
		},
		{
			name: "to another user, with its mode", root: true, reason: Refused,
			take: func(path string) error { return errors.Join(os.Chmod(path, 0o600), os.Chown(path, 12345, 12345)) },
			give: func(path string) error {
				return errors.Join(os.Chown(path, os.Geteuid(), os.Getegid()), os.Chmod(path, 0o400))
			},
		},
		{
			name: "behind a symbolic link", reason: Refused,
			take: func(path string) error {
				return errors.Join(os.Rename(path, path+".aside"), os.Symlink(path+".aside", path))
			},
			give: func(path string) error { return os.Rename(path+".aside", path) },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.root && os.Geteuid() != 0 {
				t.Skipf("skipped: only root gives a file to another user, and this is user %d", os.Geteuid())
			}
			w := newWorld(t)
			w.process()
			path := w.process().Path()
			if err := c.take(path); err != nil {
				t.Fatal(err)
			}
			w.scans("taken away", t.Context(), nil, 1)
			w.skipped("taken away", c.reason, 1)
			counted := &opens{Disk: w.source.disk}
			w.source.disk = counted
			w.scans("once more", t.Context(), nil, 1)
			if n := counted.n.Load(); n != 0 {
				t.Errorf("%d files were opened in a scan without a change", n)
			}
			if err := c.give(path); err != nil {
				t.Fatal(err)
			}
			w.scans("given back", t.Context(), nil, 2)
			w.skipped("given back", c.reason, 0)
		})
	}
}

// A damaged file that was read before keeps its values. The file is not read whole again in each
// scan, and its process is still seen to die.
func TestDamagedFileIsKeptWithoutReading(t *testing.T) {
	w := newWorld(t)
	const many = 3
	var damaged []*ownerfile.File
	for range many {
		damaged = append(damaged, w.process())
	}
	w.process()
	w.scans("before", t.Context(), nil, many+1)
	whole := map[string][]byte{}
	for _, p := range damaged {
		b, err := os.ReadFile(p.Path())
		if err == nil {
			whole[p.Path()] = b[:2*os.Getpagesize()]
			err = errors.Join(os.Chmod(p.Path(), 0o600), write(p.Path(), make([]byte, 2*os.Getpagesize())))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	w.scans("damaged", t.Context(), nil, many+1)
	w.skipped("damaged", Damaged, many)
	counted := &opens{Disk: w.source.disk}
	w.source.disk = counted
	check := func(what string, live int) {
		t.Helper()
		w.scans(what, t.Context(), nil, many+1)
		w.skipped(what, Damaged, many)
		if n := counted.n.Load(); n != 0 {
			t.Errorf("%s: %d files were opened in a scan without a change", what, n)
		}
		n := 0
		for _, f := range w.source.listed {
			if f.probed && f.alive && f.bad != nil {
				n++
			}
		}
		if n != live {
			t.Errorf("%s: %d processes of damaged files live, want %d", what, n, live)
		}
	}
	check("damaged still", many)
	if err := damaged[0].Close(); err != nil {
		t.Log(err)
	}
	check("one is dead", many-1)
	if err := write(damaged[1].Path(), whole[damaged[1].Path()]); err != nil {
		t.Fatal(err)
	}
	w.scans("one is whole again", t.Context(), nil, many+1)
	w.skipped("one is whole again", Damaged, many-1)
}

// write overwrites the beginning of a file.
func write(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, 0)
	return errors.Join(err, f.Close())
}

// A file from a backup is left out by what the archive says. With another archive the file may
// count, although the file has not changed.
func TestReturnedFileAfterTotalsRestarted(t *testing.T) {
	w := newWorld(t)
	dead := w.process()
	sub := filepath.Dir(dead.Path())
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	epoch := uint32(0)
	replace := func(horizon int64, uptime time.Duration) {
		t.Helper()
		a := archive.New()
		a.Horizon, a.Uptimes.Horizon = horizon, int64(uptime)
		epoch++
		a.Epoch = epoch
		temporary, err := a.Write(sub, layout.Header{PID: 1, Start: time.Now().UnixNano(), BootID: boot.ID()})
		if err == nil {
			err = os.Rename(filepath.Join(sub, temporary), filepath.Join(sub, layout.ArchiveName))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	replace(time.Now().UnixNano(), boot.Uptime())
	w.scans("older than the horizon", t.Context(), nil, 0)
	w.skipped("older than the horizon", Returned, 1)
	w.scans("still", t.Context(), nil, 0)
	replace(1, 1)
	w.scans("the scan that reads the other archive", t.Context(), nil, 0)
	w.scans("with another archive", t.Context(), nil, 1)
	w.skipped("with another archive", Returned, 0)
}
