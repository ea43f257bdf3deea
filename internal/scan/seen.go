package scan

import (
	"cmp"
	"slices"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
)

// Seen is one process of the last scan.
type Seen struct {
	Name    string
	ID      layout.ID
	File    Reading                // nil: no value of the process takes part
	Values  []uint64               // last good values, by At of the entries
	Natives map[int]*layout.Native // native buckets of Values by entry
	Live    bool
	Held    bool  // the archive has the values, and an absorption is about to remove the file
	Gone    bool  // the file is missing without an absorption
	Err     error // why the process is skipped, or shown with the last good values

	member *merge.Member
}

// Seen returns the processes of the last scan, by name.
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

// Parts returns the share of a process in some merged series, as of the last Merge.
func (s *Scanner) Parts(f Seen, of map[*merge.Series]bool) map[*merge.Series]merge.Part {
	if f.member == nil {
		return nil
	}
	return s.merger.Parts(f.member, f.Values, f.Natives, of)
}

// Sum returns the sum of the shares of a process in a cumulative family, as of the last Merge. has
// is false if the process has no share.
func (s *Scanner) Sum(f Seen, of *merge.Family) (sum float64, has bool) {
	if f.member == nil {
		return 0, false
	}
	return s.merger.Sum(f.member, f.Values, of)
}

// Standings returns the decisions about the definitions of a process, as of the last Merge.
func (s *Scanner) Standings(f Seen) []merge.Standing {
	if f.member == nil {
		return nil
	}
	return s.merger.Standings(f.member)
}

// Labelled reports whether a sample of a process has the label "process", as of the last Merge.
func (s *Scanner) Labelled(f Seen) bool { return f.member != nil && s.merger.Labelled(f.member) }
