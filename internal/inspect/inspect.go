// Package inspect answers questions about a shared directory: the counting processes, the counts,
// the share of each process, and problems.
//
// Package inspect reads with the scanner and the merger of the collector, so that the answers
// agree with a scrape, and writes nothing. An [Inspector] reads only changed files again; each
// [Inspector.Read] makes a [Survey], and a Survey never changes.
package inspect

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/location"
	"github.com/mpmetrics/mpmetrics/internal/merge"
	"github.com/mpmetrics/mpmetrics/internal/remote"
	"github.com/mpmetrics/mpmetrics/internal/render"
	"github.com/mpmetrics/mpmetrics/internal/scan"
	"github.com/mpmetrics/mpmetrics/internal/source"
)

// Opts selects a directory or a server.
type Opts struct {
	// Dir is the directory configured for stores, or the URL of a server.
	Dir string

	// ArchiveDir is the directory configured for the archive. Empty: as for stores.
	ArchiveDir string

	// Access says which directories are accepted.
	Access directory.Access

	// Timeout bounds one reading. 0: 8 s, as in a collector.
	Timeout time.Duration
}

// Inspector reads one directory. Only one goroutine may use an Inspector at a time.
type Inspector struct {
	opts     Opts
	location location.Location // of Opts.Dir; zero if that is none
	scanner  *scan.Scanner
	merger   *merge.Merger
	render   *render.Renderer
	errs     []error // of the reading that runs
	owners   owners

	bad error // why the location cannot be used at all
}

// New returns an Inspector. New reads nothing yet.
func New(o Opts) *Inspector {
	i := &Inspector{
		merger: merge.New(),
		render: render.New(func(string) bool { return false }),
	}
	i.opts = o
	quiet := slog.New(slog.DiscardHandler)
	var from scan.Source
	i.bad = i.locate()
	if i.bad == nil {
		from, i.bad = source.Open(i.location, source.Opts{
			ArchiveDir: o.ArchiveDir, Access: i.opts.Access, Timeout: cmp.Or(o.Timeout, scan.DefaultTimeout), Log: quiet,
		})
	}
	if i.bad != nil {
		from = unusable{i.bad}
	}
	i.scanner = scan.New(from, i.merger, quiet, func(err error) { i.errs = append(i.errs, err) })
	return i
}

// locate finds out which directory or server is meant.
func (i *Inspector) locate() (err error) {
	i.location, err = location.Parse(i.opts.Dir)
	if err != nil || i.location.Kind() != location.Directory {
		return err
	}
	i.location, err = location.Parse(Parent(i.location.Dir()))
	if err != nil {
		return err
	}
	i.opts.Access = AccessOf(filepath.Join(i.location.Dir(), layout.Subdirectory), i.opts.Access)
	return nil
}

// unusable is the source of a location that cannot be used.
type unusable struct{ err error }

// Snapshot implements scan.Source.
func (u unusable) Snapshot(context.Context) (scan.Snapshot, error) { return scan.Snapshot{}, u.err }

// Close implements scan.Source.
func (unusable) Close() {}

// Close gives the files, or the connections, back.
func (i *Inspector) Close() { i.scanner.Close() }

// Access says what the directory may be like, as it was found.
func (i *Inspector) Access() directory.Access { return i.opts.Access }

// Parent returns the configured directory for dir. dir is the configured directory or its
// subdirectory mpmetrics: a user inside the subdirectory may pass ".".
func Parent(dir string) string {
	path, err := filepath.Abs(dir)
	if err != nil || filepath.Base(path) != layout.Subdirectory {
		return dir
	}
	if _, err := os.Lstat(filepath.Join(path, layout.Subdirectory)); err == nil {
		return dir
	}
	return filepath.Dir(path)
}

// AccessOf returns the access that stores need for a subdirectory, so that an operator does not
// have to know about sharing with a group.
func AccessOf(sub string, a directory.Access) directory.Access {
	a = a.WithEnv()
	info, err := os.Lstat(sub)
	if err == nil && info.Mode()&(fs.ModeSetgid|0o777) == fs.ModeSetgid|0o770 {
		a.GroupShared = true
	}
	return a
}

// Read reads the whole directory. Read never fails: the Survey has the errors.
func (i *Inspector) Read() *Survey {
	start := time.Now()
	i.errs = nil
	ctx, cancel := context.WithTimeout(context.Background(), cmp.Or(i.opts.Timeout, scan.DefaultTimeout))
	defer cancel()
	err := i.scanner.Merge(ctx)
	s := &Survey{
		Time:      start,
		Parent:    i.location.String(),
		Directory: filepath.Join(i.location.Dir(), layout.Subdirectory),
		Err:       err,
		Took:      time.Since(start),
		inspector: i,
	}
	if location.KindOf(i.opts.Dir) == location.Server {
		s.Remote, s.Directory = true, location.Redacted(i.opts.Dir)
		s.Present = i.bad == nil && !errors.Is(err, remote.ErrUnreachable)
	} else {
		s.Present = err == nil || !errors.Is(err, directory.ErrRefused)
		if _, err := os.Lstat(s.Directory); err != nil {
			s.Present = false
		}
	}
	s.processes(i.errs)
	s.archive()
	s.families()
	s.others()
	s.problems()
	return s
}
