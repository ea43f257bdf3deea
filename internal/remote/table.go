package remote

import (
	"fmt"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/reader"
)

// table is the families and entries of one partition as a scan takes them: nothing
// leaves its place, what is gone is marked.
type table struct {
	families []*layout.Family
	wordings map[string]int // to index in families
	entries  []reader.Entry
	words    int   // of all values
	gone     int   // entries that are Gone
	memory   int64 // of all, about
	natives  map[int]*layout.Native
}

// Bounds of what one partition may make a reader keep, as of a file.
const (
	maxMemory   = 1 << 30
	maxFamilies = 100_000
	// entryBytes is what an entry takes beside its label values and its values,
	// textBytes what a text takes beside its bytes.
	entryBytes  = 128
	textBytes   = 16
	nativeBytes = 16
)

// family returns the index of a family, and adds it if it is new.
func (t *table) family(f *layout.Family) (int, error) {
	wording := string(layout.AppendFamily(nil, 0, f))
	if i, known := t.wordings[wording]; known {
		return i, nil
	}
	if len(t.families) >= maxFamilies {
		return 0, fmt.Errorf("more than %d families: %w", maxFamilies, layout.ErrLimit)
	}
	if err := f.Validate(); err != nil {
		return 0, err
	}
	if t.wordings == nil {
		t.wordings = map[string]int{}
	}
	t.families = append(t.families, f)
	t.wordings[wording] = len(t.families) - 1
	return len(t.families) - 1, t.take(int64(entryBytes + len(wording)))
}

// add adds an entry with room for its value.
func (t *table) add(e reader.Entry) (int, error) {
	if len(t.entries)-t.gone >= layout.MaxSeries {
		return 0, fmt.Errorf("more than %d series: %w", layout.MaxSeries, layout.ErrLimit)
	}
	n := t.families[e.Family].ValueWords()
	size := entryBytes + 2*layout.WordBytes*n
	for _, v := range e.Values {
		size += textBytes + len(v)
	}
	e.At = t.words
	t.words += n
	t.entries = append(t.entries, e)
	return len(t.entries) - 1, t.take(int64(size))
}

// leave marks an entry as gone.
func (t *table) leave(i int) {
	if !t.entries[i].Gone {
		t.entries[i].Gone = true
		t.gone++
		delete(t.natives, i)
	}
}

func (t *table) take(bytes int64) error {
	t.memory += bytes
	if t.memory > maxMemory {
		return fmt.Errorf("more than %d MiB: %w", maxMemory>>20, layout.ErrLimit)
	}
	return nil
}

// maxLeft is how many entries that are gone a reader drags along. With more it reads
// the partition anew.
const maxLeft = 10_000

// crowded reports whether most of the table is gone.
func (t *table) crowded() bool { return t.gone > maxLeft && t.gone > len(t.entries)/2 }
