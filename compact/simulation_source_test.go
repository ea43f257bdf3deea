package compact

import (
	"slices"

	"github.com/mpmetrics/mpmetrics/internal/archive"
	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/mirror"
	"github.com/mpmetrics/mpmetrics/internal/reader"
	"github.com/mpmetrics/mpmetrics/internal/scan"
)

// memorySource is the directory as a scraper sees it. Each call stops before its
// effect.
type memorySource struct {
	*actor
	*memory
	begins func() // told when a scan begins
	place  uint64 // the directory when it began
}

// Epoch implements scan.Disk.
func (s *memorySource) Epoch() (uint32, error) {
	if err := s.point("read epoch"); err != nil {
		return 0, err
	}
	s.begins()
	s.place = s.number
	if s.memory.archive != nil {
		s.seen.add(uint64(s.memory.archive.origin))
	}
	return s.memory.archive.epoch(), s.archiveLost()
}

// Place implements scan.Disk.
func (s *memorySource) Place() uint64 { return s.place }

// InMemory implements scan.Disk.
func (s *memorySource) InMemory() (files, archive bool) { return false, false }

// List implements scan.Disk.
func (s *memorySource) List() ([]directory.Entry, error) {
	if err := s.point("list"); err != nil {
		return nil, err
	}
	var entries []directory.Entry
	for _, name := range s.names(s.actor) {
		e := directory.Entry{Name: name}
		if f := s.files[name]; f != nil {
			e.Inode = f.inode()
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// Open implements scan.Disk.
func (s *memorySource) Open(name string) (scan.File, error) {
	if err := s.point("open"); err != nil {
		return nil, err
	}
	f, err := s.find(s.actor, name)
	if err != nil {
		return nil, err
	}
	return &handle{source: s, name: name, file: f}, nil
}

// Readers implements scan.Disk: each of its steps is one of the schedule.
func (s *memorySource) Readers() int { return 1 }

// Look implements scan.Disk. No file is ever left out here.
func (s *memorySource) Look(string) directory.Stat { return directory.Stat{} }

// Archive implements scan.Disk.
func (s *memorySource) Archive(known *archive.Archive) (*archive.Archive, error) {
	if err := s.point("read archive"); err != nil {
		return nil, err
	}
	if err := s.archiveLost(); err != nil {
		return nil, err
	}
	return s.memory.archive.decode(s.actor, known, s.memory)
}

// handle is an open file, as reader.File is. What it says of what it read before
// needs no system call, and is no step.
type handle struct {
	source  *memorySource
	name    string
	file    *memoryFile
	resting bool
	final   bool
	values  []uint64
}

// Reopen implements scan.File.
func (h *handle) Reopen(listed uint64) error {
	if !h.resting && listed == h.file.inode() {
		return nil
	}
	if err := h.source.point("reopen"); err != nil {
		return err
	}
	if !h.resting {
		h.source.seen.add(bit(h.file.removed))
		if h.file.removed {
			return reader.ErrReplaced
		}
		return nil
	}
	f, err := h.source.find(h.source.actor, h.name)
	if err != nil {
		return err
	}
	if f != h.file {
		return reader.ErrReplaced
	}
	h.resting = false
	return nil
}

// Live implements scan.File.
func (h *handle) Live() (bool, error) {
	if err := h.source.point("probe"); err != nil {
		return false, err
	}
	h.source.seen.add(bit(h.file.held()))
	return h.file.held(), nil
}

// Refresh implements scan.File.
func (h *handle) Refresh() error { return h.source.point("refresh") }

// Load implements scan.File.
func (h *handle) Load() ([]uint64, error) {
	if err := h.source.point("load"); err != nil {
		return nil, err
	}
	h.source.seen.add(h.file.cells...)
	h.values = slices.Clone(h.file.cells)
	return h.values, nil
}

// Finish implements scan.File.
func (h *handle) Finish() { h.resting, h.final = true, true }

// Final implements scan.File.
func (h *handle) Final() bool { return h.final }

// Rest implements scan.File.
func (h *handle) Rest() { h.resting = true }

// Resting implements scan.File.
func (h *handle) Resting() bool { return h.resting }

// Close implements scan.File.
func (h *handle) Close() { h.resting = true }

// Header implements scan.File.
func (h *handle) Header() *layout.Header { return &h.file.header }

// Families implements scan.File.
func (h *handle) Families() []*layout.Family { return memoryFamilies }

// Entries implements scan.File.
func (h *handle) Entries() []reader.Entry { return memoryEntries }

// Gone implements scan.File.
func (h *handle) Gone() int   { return 0 }
func (h *handle) Shares() int { return 0 }

// Size implements scan.File.
func (h *handle) Memory() int64 { return 0 }

func (h *handle) Natives() map[int]*layout.Native         { return nil }
func (h *handle) Exemplars() map[string][]mirror.Exemplar { return nil }

func (h *handle) Size() int64 { return int64(len(h.file.cells)) }
