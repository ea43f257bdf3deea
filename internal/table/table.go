// Package table keeps the families and series of one process for two readers: the reader of a file
// and the reader of a server. An entry never moves in a table; the entry of a deleted series is
// marked.
package table

import (
	"fmt"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
)

// Bounds of the memory of a reader for one process.
const (
	// maxMemory holds a million series with long labels. A reader keeps each word, and loads the
	// words into as much memory again.
	maxMemory = 1 << 30

	// MaxFamilies is enough for a program of a thousand packages with a hundred families each.
	MaxFamilies = 100_000

	// entryBytes is the memory of an entry without label values and values.
	entryBytes = 128
	// textBytes is the memory of a text without the bytes.
	textBytes = 16
	// nativeBytes is the memory of a native bucket.
	nativeBytes = 16

	// MaxLeft bounds the deleted entries in a table. Beyond the bound the reader reads the
	// process again from the beginning.
	MaxLeft = 10_000
)

// Entry is one run of values: a series, or a base.
type Entry struct {
	Family   int      // index into Families
	Values   []string // of the family's LabelNames
	Created  int64    // Unix nanoseconds
	At       int      // index of its first value
	Gone     bool     // the series was deleted, and its values have no meaning
	Mirrored bool     // of a foreign collector
	Share    bool     // the series was deleted, and others may still have the series: see merge.Input
	Stamped  bool     // the time of the value is to be shown: see merge.Input

	Cells layout.Place // of the values, in a file; zero for mirrored series
}

// Table holds the families and entries of one process. The zero value is empty.
type Table struct {
	families []*layout.Family
	wordings map[string]int // of Family: to index in families
	entries  []Entry
	words    int   // of all values
	gone     int   // entries that are Gone
	shares   int   // calls of SetShare
	memory   int64 // of the table, an estimate
	natives  map[int]*layout.Native

	fixed        []fixed
	mirrored     map[string]*mirrored // by name of the family
	mirroredGone int                  // entries that are Mirrored and Gone
	taking       int                  // calls of TakeMirrored
}

// fixed is the value of an entry without a cell and without a block.
type fixed struct {
	entry int // -1: the series was deleted
	at    int // as Entry.At
	words []uint64
}

// Families returns the families, in the order in which they were added. The slice only grows.
func (t *Table) Families() []*layout.Family { return t.families }

// Entries returns the entries, in the order in which they were added. The slice only grows; Gone
// may become true.
func (t *Table) Entries() []Entry { return t.entries }

// Gone returns the number of entries that are Gone.
func (t *Table) Gone() int { return t.gone }

// MirroredGone returns the number of mirrored entries that are Gone.
func (t *Table) MirroredGone() int { return t.mirroredGone }

// Words returns the number of values of all entries.
func (t *Table) Words() int { return t.words }

// Memory estimates the bytes of memory that the table takes.
func (t *Table) Memory() int64 { return t.memory }

// Natives returns the native buckets of the native histograms, by index in Entries. The map never
// changes: TakeMirrored makes another map.
func (t *Table) Natives() map[int]*layout.Native { return t.natives }

// AddFamily adds a family and returns its index.
func (t *Table) AddFamily(f *layout.Family) (int, error) {
	if len(t.families) >= MaxFamilies {
		return 0, fmt.Errorf("more than %d families: %w", MaxFamilies, layout.ErrLimit)
	}
	size := int64(len(f.Name)+len(f.Help)+len(f.Unit)) + textsBytes(f.LabelNames) + layout.WordBytes*int64(len(f.Bounds))
	for _, l := range f.ConstLabels {
		size += textsBytes([]string{l.Name, l.Value})
	}
	if err := t.take("families", size); err != nil {
		return 0, err
	}
	t.families = append(t.families, f)
	return len(t.families) - 1, nil
}

// Family returns the index of a family by its wording. An unknown family is added if the family is
// valid.
func (t *Table) Family(f *layout.Family, wording string) (int, error) {
	if i, known := t.wordings[wording]; known {
		return i, nil
	}
	if err := f.Validate(); err != nil {
		return 0, err
	}
	i, err := t.AddFamily(f)
	if err != nil {
		return 0, err
	}
	if t.wordings == nil {
		t.wordings = map[string]int{}
	}
	t.wordings[wording] = i
	return i, nil
}

// Add adds an entry with room for its values, and returns its index.
func (t *Table) Add(e Entry) (int, error) {
	if len(t.entries)-t.gone >= layout.MaxSeries {
		return 0, fmt.Errorf("more than %d series: %w", layout.MaxSeries, layout.ErrLimit)
	}
	n := t.families[e.Family].ValueWords()
	if err := t.take("series", entryBytes+2*layout.WordBytes*int64(n)+textsBytes(e.Values)); err != nil {
		return 0, err
	}
	e.At = t.words
	t.words += n
	t.entries = append(t.entries, e)
	return len(t.entries) - 1, nil
}

// AddFixed adds an entry whose values the table holds, for CopyFixed. It returns the number of the
// values.
func (t *Table) AddFixed(e Entry, words []uint64) (int, error) {
	i, err := t.Add(e)
	if err != nil {
		return 0, err
	}
	t.fixed = append(t.fixed, fixed{entry: i, at: t.entries[i].At, words: words})
	return len(t.fixed) - 1, nil
}

// AddRest adds the entries that subtract a base from the values of an entry. It returns the numbers
// of their values.
func (t *Table) AddRest(e Entry, base []uint64) (added []int, err error) {
	for _, words := range merge.Rest(t.families[e.Family], base) {
		i, err := t.AddFixed(e, words)
		if err != nil {
			return added, err
		}
		added = append(added, i)
	}
	return added, nil
}

// CopyFixed copies the values from AddFixed and AddRest to their places.
func (t *Table) CopyFixed(values []uint64) {
	for i := range t.fixed {
		if f := &t.fixed[i]; f.entry >= 0 {
			copy(values[f.at:], f.words)
		}
	}
}

// Leave marks an entry as Gone, and reports whether the entry was not Gone before.
func (t *Table) Leave(i int) bool {
	e := &t.entries[i]
	if e.Gone {
		return false
	}
	e.Gone = true
	t.gone++
	if e.Mirrored {
		t.mirroredGone++
	}
	if t.natives[i] != nil {
		_ = t.keepNative(i, nil) // giving memory back never fails
	}
	return true
}

// SetShare notes whether an entry is a share.
func (t *Table) SetShare(i int, share bool) {
	t.entries[i].Share = share
	t.shares++
}

// Shares returns how often SetShare was called.
func (t *Table) Shares() int { return t.shares }

// LeaveFixed marks the entries of values as Gone.
func (t *Table) LeaveFixed(numbers []int) {
	for _, i := range numbers {
		t.leaveFixed(i)
	}
}

func (t *Table) leaveFixed(i int) {
	if f := &t.fixed[i]; f.entry >= 0 {
		t.Leave(f.entry)
		*f = fixed{entry: -1}
	}
}

// keepNative keeps the native buckets of an entry within the bounds. nil means none.
func (t *Table) keepNative(entry int, n *layout.Native) error {
	bytes := func(n *layout.Native) int64 {
		if n == nil {
			return 0
		}
		return entryBytes + nativeBytes*int64(len(n.Positive)+len(n.Negative))
	}
	if err := t.take("native histograms", bytes(n)-bytes(t.natives[entry])); err != nil {
		return err
	}
	if n == nil {
		delete(t.natives, entry)
		return nil
	}
	if t.natives == nil {
		t.natives = map[int]*layout.Native{}
	}
	t.natives[entry] = n
	return nil
}

func (t *Table) take(what string, bytes int64) error {
	if bytes > 0 && t.memory+bytes > maxMemory {
		return fmt.Errorf("%s that take more than %d MiB: %w", what, maxMemory>>20, layout.ErrLimit)
	}
	t.memory += bytes
	return nil
}

func textsBytes(texts []string) (n int64) {
	for _, t := range texts {
		n += textBytes + int64(len(t))
	}
	return n
}
