//go:build unix

package scan

import (
	"errors"
	"syscall"
	"testing"

	"github.com/mpmetrics/mpmetrics/internal/archive"
	"github.com/mpmetrics/mpmetrics/internal/directory"
)

// The share of a collector follows the limit and what the rest of the process leaves.
func TestShareOfDescriptors(t *testing.T) {
	for name, c := range map[string]struct {
		limit, used, open int64
		kept              int64
		few               bool
	}{
		"a usual service":               {limit: 20_000, used: 100, kept: 2500},
		"few":                           {limit: 56, used: 12, kept: 7},
		"few, with files open":          {limit: 56, used: 19, open: 7, kept: 7},
		"few are free":                  {limit: 1024, used: 1000, open: 8, kept: 8},
		"none is free":                  {limit: 1024, used: 1024, open: 10, kept: spareDescriptors, few: true},
		"more open than the limit says": {limit: 30, used: 100, open: 3, kept: spareDescriptors, few: true},
		"use not known":                 {limit: 1024, used: -1, kept: 128},
		"limit not known":               {limit: -1, used: -1, kept: usualDescriptors},
	} {
		d := descriptors{count: func() (int64, int64) { return c.limit, c.used }}
		d.open.Store(c.open)
		d.look()
		if d.kept != c.kept || d.few != c.few {
			t.Errorf("%s: keeps %d, few %v, want %d, %v", name, d.kept, d.few, c.kept, c.few)
		}
	}
}

// scarce is a disk of a process that has few descriptors.
type scarce struct {
	Disk
	most int64 // files open at a time
	fail int   // times that a step fails, -1 for ever
	step string
	of   *Directory
}

func (s *scarce) lacks(step string) bool {
	if step != s.step || s.fail == 0 {
		return false
	}
	s.fail--
	return true
}

func (s *scarce) Epoch() (uint32, error) {
	if s.lacks("epoch") {
		return 0, syscall.EMFILE
	}
	return s.Disk.Epoch()
}

func (s *scarce) List() ([]directory.Entry, error) {
	if s.lacks("list") {
		return nil, syscall.EMFILE
	}
	return s.Disk.List()
}

func (s *scarce) Archive(known *archive.Archive) (*archive.Archive, error) {
	if s.lacks("archive") {
		return nil, syscall.EMFILE
	}
	return s.Disk.Archive(known)
}

func (s *scarce) Open(name string) (File, error) {
	if s.lacks("open") {
		return nil, errors.Join(syscall.ENFILE, syscall.EMFILE)
	}
	if s.of.descriptors.open.Load() >= s.most {
		return nil, syscall.EMFILE
	}
	return s.Disk.Open(name)
}

// A scan that meets a lack of descriptors at any step gives its own back, and is complete.
func TestLackOfDescriptors(t *testing.T) {
	const many = 12
	// Files are read although the archive, or its epoch, cannot be.
	for step, meanwhile := range map[string]float64{"epoch": many + 2, "list": many + 1, "open": many + 1, "archive": many + 2} {
		t.Run(step, func(t *testing.T) {
			w := newWorld(t)
			s := &scarce{Disk: together{w.source.disk}, most: 2, of: w.source}
			w.source.disk, w.source.little = s, 0
			for range many {
				w.process()
			}
			w.scans("two at a time", t.Context(), nil, many)
			s.step, s.fail = step, 1
			w.process()
			w.scans("one step fails", t.Context(), nil, many+1)
			s.fail = -1
			w.process()
			w.scans("each step fails", t.Context(), syscall.EMFILE, meanwhile)
			s.fail = 0
			w.scans("as before", t.Context(), nil, many+2)
		})
	}
}
