package compact

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/archive"
	"github.com/mpmetrics/mpmetrics/internal/boot"
	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/reader"
	"github.com/mpmetrics/mpmetrics/internal/scan"
)

// files is the world for a directory. files also implements steps.
type files struct {
	sub           string // own subdirectory
	archiveParent string // as configured
	access        directory.Access
	archive       string // directory of the archive, usually sub; known under the lock
	sinceBoot     func() time.Duration

	// Of an absorption: what it stands on. The directories are open: a change goes to the directory
	// of the reading, whatever directory is at the path.
	dir, archiveDir *os.Root
	locks           []*archive.Locked // compact.lock in each of the directories
	base            *archive.Locked   // the archive of the reading; nil: there was none
}

// find looks the directory up. find makes no directory: without a process there is nothing to
// absorb.
func find(dir string, o Opts) (*files, error) {
	access := o.access()
	sub, err := directory.Find(dir, access)
	if err != nil {
		return nil, err
	}
	return &files{sub: sub, archiveParent: o.ArchiveDir, access: access, archive: sub, sinceBoot: boot.Uptime}, nil
}

func (w *files) path(name string) string { return filepath.Join(w.sub, name) }

func (w *files) lock(context.Context) (unlock func(), err error) {
	defer func() {
		if err != nil {
			w.unlock()
		}
	}()
	w.dir, err = w.enter(w.sub)
	if err != nil {
		return nil, err
	}
	w.archive, err = archive.SettleLocked(w.sub, w.archiveParent, w.access)
	if err != nil {
		return nil, err
	}
	w.archiveDir = w.dir
	if w.archive != w.sub {
		// Lock the directory of the archive too: otherwise two directories that share an archive by
		// mistake would overwrite the archive of each other.
		w.archiveDir, err = w.enter(w.archive)
		if err != nil {
			return nil, err
		}
	}
	return w.unlock, w.checkPlace()
}

// enter opens and locks a directory.
func (w *files) enter(path string) (*os.Root, error) {
	dir, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	l, err := archive.Lock(path)
	if err != nil {
		dir.Close()
		return nil, err
	}
	w.locks = append(w.locks, l)
	return dir, nil
}

func (w *files) unlock() {
	w.base.Unlock()
	for _, l := range slices.Backward(w.locks) {
		l.Unlock()
	}
	for _, dir := range []*os.Root{w.dir, w.archiveDir} {
		if dir != nil {
			dir.Close()
		}
	}
	w.base, w.locks, w.dir, w.archiveDir = nil, nil, nil, nil
}

// checkPlace checks that the paths lead to the open directories and to the locked files.
func (w *files) checkPlace() error {
	for _, dir := range []*os.Root{w.dir, w.archiveDir} {
		open, err := dir.Stat(".")
		if err != nil {
			return err
		}
		named, err := os.Lstat(dir.Name())
		if err != nil && !scan.Vanished(err) {
			return err
		}
		if err != nil || !os.SameFile(open, named) {
			return changed(dir.Name())
		}
	}
	for _, l := range w.locks {
		if err := checkInPlace(l); err != nil {
			return err
		}
	}
	return nil
}

func checkInPlace(l *archive.Locked) error {
	same, err := l.InPlace()
	if err == nil && !same {
		err = changed(l.Name())
	}
	return err
}

func changed(path string) error {
	return fmt.Errorf("%w: %s was removed or replaced during the absorption", ErrChanged, path)
}

func (w *files) check() error {
	if err := w.checkPlace(); err != nil {
		return err
	}
	if w.base != nil {
		return checkInPlace(w.base)
	}
	// publish replaces no archive if there was none.
	return nil
}

func (w *files) list(context.Context) ([]string, error) { return directory.List(w.sub) }

func (w *files) dead(name string) (bool, error) {
	path := w.path(name)
	f, _, err := directory.OpenFile(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	live, err := f.Live()
	if err != nil || live {
		return false, err
	}
	// An owner whose file was deleted makes a new file under the same name. The free lock may
	// belong to the former file.
	return f.SameAs(path)
}

func (w *files) readArchive(context.Context) (a *archive.Archive, err error) {
	err = scan.Prove(func() (err error) {
		a, err = w.holdArchive()
		return err
	})
	return a, err
}

// holdArchive locks and reads the archive.
func (w *files) holdArchive() (_ *archive.Archive, err error) {
	w.base.Unlock()
	w.base, err = archive.Hold(w.archive)
	if err != nil {
		return nil, err
	}
	a, err := archive.Read(w.archive)
	if err != nil && !scan.Transient(err) {
		return nil, errors.Join(err, w.base.LetGo())
	}
	if err == nil && a.Exists() {
		// A new compact.lock does not know of the archive yet. An error here costs nothing now.
		_ = archive.MarkPublished(w.archive)
	}
	return a, err
}

func (w *files) damaged() int64 {
	if !archive.Published(w.archive) {
		return math.MinInt64 // no absorption has taken counts out of the files
	}
	return w.base.Overwritten()
}

func (w *files) header(name string) (*layout.Header, error) { return reader.ReadHeader(w.path(name)) }

func (w *files) read(_ context.Context, name string) (*process, error) {
	f, err := reader.Open(w.path(name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	values, err := f.Load()
	if err != nil {
		return nil, err
	}
	return &process{header: f.Header(), families: f.Families(), inputs: scan.Inputs(f.Entries()), values: values, natives: f.Natives()}, nil
}

func (w *files) commit(_ context.Context, c change) (committed, error) { return commitSteps(w, c) }

func (w *files) write(a *archive.Archive) (string, error) {
	host, _ := os.Hostname() // an empty name tells as much as an error
	return a.Write(w.archive, layout.Header{
		PID: uint32(os.Getpid()), Start: time.Now().UnixNano(), BootID: a.BootID, Host: host, Program: layout.ProgramOf(os.Args),
	})
}

func (w *files) sync(temporary string) error { return archive.Sync(w.archive, temporary) }

func (w *files) keep(reason string) error {
	info, err := os.Lstat(filepath.Join(w.archive, layout.ArchiveName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // no archive is in place
	}
	if err != nil {
		return err
	}
	dir, err := w.quarantineDir(w.archive)
	if err != nil {
		return err
	}
	// Link instead of rename: the archive always has its own name. The second name depends on the
	// archive alone, so that keep may be repeated.
	name := fmt.Sprintf("archive-%s%s", info.ModTime().UTC().Format("20060102T150405.000000000"), layout.Extension)
	err = w.archiveDir.Link(layout.ArchiveName, filepath.Join(layout.QuarantineName, name))
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	note(dir, name, reason)
	return nil
}

func (w *files) publish(temporary string) error {
	err := archive.Publish(w.archiveDir, temporary, w.base == nil)
	if errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: %w", changed(filepath.Join(w.archive, layout.ArchiveName)), err)
	}
	return err
}

func (w *files) syncRename() error { return directory.Sync(w.archive) }

func (w *files) remove(name string) error { return w.dir.Remove(name) }

func (w *files) quarantine(_ context.Context, name, reason string) error {
	dir, err := w.quarantineDir(w.sub)
	if err != nil {
		return err
	}
	to := name
	if _, err := os.Lstat(filepath.Join(dir, to)); err == nil {
		to += "-" + layout.NewID().String() // an earlier file had the same name
	}
	if err := w.dir.Rename(name, filepath.Join(layout.QuarantineName, to)); err != nil {
		return err
	}
	note(dir, to, reason)
	return nil
}

func (w *files) quarantineDir(in string) (string, error) {
	dir := filepath.Join(in, layout.QuarantineName)
	return dir, directory.Make(dir)
}

// note writes the reason beside a file in quarantine. An error is ignored, because the move of the
// file is more important than the reason.
func note(dir, name, reason string) {
	text := fmt.Sprintf("%s\n%s\n", time.Now().UTC().Format(time.RFC3339), reason)
	_ = directory.Write(filepath.Join(dir, name+".txt"), text)
}

func (w *files) clean(context.Context) (removed int) {
	for _, dir := range w.dirs() {
		names, err := directory.List(dir)
		if err != nil {
			continue // the next absorption cleans up
		}
		for _, name := range names {
			if layout.IsTemporary(name) && abandoned(filepath.Join(dir, name)) && os.Remove(filepath.Join(dir, name)) == nil {
				removed++
			}
		}
	}
	return removed
}

func abandoned(path string) bool {
	info, err := os.Lstat(path)
	// A file from the future, by a wrong clock, is as old as a file from the past.
	if err != nil || time.Since(info.ModTime()).Abs() < directory.TemporaryAge {
		return false
	}
	f, _, err := directory.OpenFile(path)
	if err != nil {
		return false
	}
	defer f.Close()
	live, err := f.Live()
	return err == nil && !live
}

// dirs returns the directories with own files, without repetition.
func (w *files) dirs() []string {
	if w.archive == w.sub {
		return []string{w.sub}
	}
	return []string{w.sub, w.archive}
}

func (w *files) now() time.Time { return time.Now() }

func (w *files) uptime() time.Duration { return w.sinceBoot() }

func (w *files) steady(now time.Time, uptime time.Duration) time.Duration {
	return archive.Steady(w.archive, archive.Reading{BootID: w.boot(), Uptime: uptime, Wall: now})
}

func (w *files) boot() string { return boot.ID() }

func (w *files) inMemory() (files, archive bool) {
	return directory.InMemory(w.sub), directory.InMemory(w.archive)
}
