package inspect

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/archive"
	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// Survey is the result of one reading.
type Survey struct {
	Time      time.Time
	Took      time.Duration
	Parent    string // the configured directory
	Directory string // subdirectory of Parent, or the URL without its password
	Remote    bool   // a server: without files
	Present   bool   // the directory exists, or the server answers, and access is safe

	// Err says why cumulative values would be too low: a scrape has no cumulative values. nil: all
	// values are complete.
	Err error

	Processes []*Process
	Archive   Archive
	Families  []*Family
	Problems  []Problem

	Quarantine []File   // put aside
	Temporary  []File   // being made, or left over
	Foreign    []string // names of foreign files

	inspector *Inspector
}

// Archive describes the archive.
type Archive struct {
	Path    string
	Exists  bool
	Bytes   int64
	Series  int
	IDs     int // of absorbed processes
	Dead    int // dead processes with kept samples
	Written time.Time
	Last    time.Time // absorption
	Begun   time.Time // totals restarted
	layout.State

	archive *archive.Archive
}

// File is a file without values for a scrape.
type File struct {
	Name    string
	Path    string
	Bytes   int64
	Changed time.Time
	Reason  string // from the note in quarantine; may be empty
}

// archive describes the archive at the last reading.
func (s *Survey) archive() {
	a := s.inspector.scanner.Archive()
	s.Archive = Archive{
		Path:    filepath.Join(s.Directory, layout.ArchiveName),
		Exists:  a.Exists(),
		Bytes:   a.Size,
		Series:  a.Ledger.Series(),
		IDs:     a.AbsorbedIDs(),
		Dead:    len(a.Ledger.Dead),
		Last:    nanoseconds(a.Last),
		Begun:   nanoseconds(a.Begun),
		State:   a.State,
		archive: a,
	}
	if s.Remote {
		s.Archive.Path, s.Archive.Written = "archive", s.Archive.Last
		return
	}
	if where, err := archive.Locate(s.Directory, s.inspector.opts.ArchiveDir, s.inspector.opts.Access); err == nil {
		s.Archive.Path = filepath.Join(where, layout.ArchiveName)
	}
	if info, err := os.Lstat(s.Archive.Path); err == nil {
		s.Archive.Written = info.ModTime()
	}
}

// nanoseconds converts Unix nanoseconds; zero is no time.
func nanoseconds(t int64) time.Time {
	if t == 0 {
		return time.Time{}
	}
	return time.Unix(0, t)
}

// others sorts the names in the directory, without the files of processes.
func (s *Survey) others() {
	if !s.Present || s.Remote {
		return
	}
	names, err := directory.List(s.Directory)
	if err != nil {
		return // the scan has said so
	}
	slices.Sort(names)
	for _, name := range names {
		switch name {
		case layout.ArchiveName, layout.LockName, layout.LocationName:
			continue
		case layout.QuarantineName:
			s.Quarantine = append(s.Quarantine, quarantined(filepath.Join(s.Directory, name))...)
			continue
		}
		if _, _, err := layout.ParseFileName(name); err == nil {
			continue
		}
		if layout.IsTemporary(name) {
			if f, err := fileAt(filepath.Join(s.Directory, name)); err == nil {
				s.Temporary = append(s.Temporary, f)
			}
			continue
		}
		s.Foreign = append(s.Foreign, name)
	}
	if dir := filepath.Dir(s.Archive.Path); dir != s.Directory {
		s.Quarantine = append(s.Quarantine, quarantined(filepath.Join(dir, layout.QuarantineName))...)
	}
}

// noteExtension ends the name of the text beside a file in quarantine.
const noteExtension = ".txt"

// quarantined lists the files put aside, with the reasons in their notes.
func quarantined(dir string) []File {
	names, err := directory.List(dir)
	if err != nil {
		return nil
	}
	slices.Sort(names)
	var files []File
	for _, name := range names {
		if strings.HasSuffix(name, noteExtension) {
			continue
		}
		f, err := fileAt(filepath.Join(dir, name))
		if err != nil {
			continue
		}
		f.Reason = note(f.Path + noteExtension)
		files = append(files, f)
	}
	return files
}

func fileAt(path string) (File, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return File{}, err
	}
	return File{Name: filepath.Base(path), Path: path, Bytes: info.Size(), Changed: info.ModTime()}, nil
}

// maxNoteBytes is more than a note has.
const maxNoteBytes = 16 << 10

// note returns the reason in a note: the note has a line with the time, and one or more lines with
// the reason.
func note(path string) string {
	f, st, err := directory.OpenFile(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	b := make([]byte, min(st.Size, maxNoteBytes))
	if _, err := f.ReadAt(b, 0); err != nil {
		return ""
	}
	_, reason, _ := strings.Cut(string(b), "\n")
	return strings.TrimSpace(reason)
}

// Process finds a process by the name of its file, by a path to the file, or by pid. Of several
// processes with the pid, Process prefers a living process, and then the latest start.
func (s *Survey) Process(name string) (*Process, error) {
	base := filepath.Base(name)
	var found *Process
	for _, p := range s.Processes {
		if p.Name == base {
			return p, nil
		}
		if p.pidText() != name {
			continue
		}
		if found == nil || p.State == Live && found.State != Live || p.State == found.State && p.Start.After(found.Start) {
			found = p
		}
	}
	if found == nil {
		return nil, &fs.PathError{Op: "find", Path: name, Err: errors.New("no process of this directory has this pid or file")}
	}
	return found, nil
}

// CountFiles returns the number of files of processes in a subdirectory.
func CountFiles(dir string) (n int, err error) {
	names, err := directory.List(dir)
	for _, name := range names {
		if _, _, err := layout.ParseFileName(name); err == nil {
			n++
		}
	}
	return n, err
}
