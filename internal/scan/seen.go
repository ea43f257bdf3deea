package scan

import (
	"cmp"
	"slices"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
)

// Seen is one process as the last scan found it.
type Seen struct {
	Name    string
	ID      layout.ID
	File    Reading                // nil: nothing of it takes part
	Values  []uint64               // last good ones, where the entries of File say
	Natives map[int]*layout.Native // of these, the native buckets by entry
	Live    bool
	Held    bool  // the archive has its values, it is about to be removed
	Gone    bool  // it is not there any more, and was not absorbed
	Err     error // why it is left out, or only its last good values are shown

	member *merge.Member
}

// Seen returns the files that the last scan found, by name.
func (s *Scanner) Seen() []Seen {
	seen := make([]Seen, 0, len(s.files))
	for _, t := range s.files {
		gone := t.seen != s.round
		if gone && t.member == nil {
			continue
		}
		x := Seen{Name: t.name, ID: t.id, Live: t.live, Held: s.archive.Holds(t.id), Gone: gone, Err: t.bad}
		if t.member != nil {
			x.File, x.Values, x.Natives, x.member = t.reading, t.values, t.natives, t.member
		}
		seen = append(seen, x)
	}
	slices.SortFunc(seen, func(a, b Seen) int { return cmp.Compare(a.Name, b.Name) })
	return seen
}

// Parts returns what a file has in those of the merged series that it has, as of the
// last Merge.
func (s *Scanner) Parts(f Seen, of map[*merge.Series]bool) map[*merge.Series]merge.Part {
	if f.member == nil {
		return nil
	}
	return s.merger.Parts(f.member, f.Values, f.Natives, of)
}
