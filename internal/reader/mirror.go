package reader

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"strings"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/mirror"
)

// Mirrored families become families and entries beside those of the log: to
// who merges there is no difference. Their values stand in the file as they are,
// not in cells.

// mirrorValue is a mirrored family as it stands in the file.
type mirrorValue struct {
	name  string
	value []byte
}

// mirrored is what was made of one.
type mirrored struct {
	value    []byte
	families map[string]int // wording to index in families
	entries  map[string]int // wording and label values to index in fixed
}

// fixed are the values of one series.
type fixed struct {
	entry int // index into entries
	at    int // as Entry.At
	words []uint64
}

// mirroredSeries is the number of no series of a log.
const mirroredSeries = math.MaxUint32

// maxLeft is how many series that are gone a reader drags along. With more it
// reads the file anew.
const maxLeft = 10_000

// mirror takes the mirrored families of a snapshot: those that have changed.
func (r *File) mirror(found []mirrorValue) error {
	r.natives = maps.Clone(r.natives)
	there := make(map[string]bool, len(found))
	for _, v := range found {
		there[v.name] = true
		known := r.mirrored[v.name]
		if known != nil && bytes.Equal(known.value, v.value) {
			continue
		}
		if known == nil {
			known = &mirrored{families: map[string]int{}, entries: map[string]int{}}
			if r.mirrored == nil {
				r.mirrored = map[string]*mirrored{}
			}
			r.mirrored[v.name] = known
		}
		if err := r.takeMirrored(known, v); err != nil {
			return fmt.Errorf("mirrored family %.100q: %w", v.name, err)
		}
	}
	for name, m := range r.mirrored {
		if !there[name] {
			for _, i := range m.entries {
				r.leave(i)
			}
			delete(r.mirrored, name)
		}
	}
	if r.mirroredGone > maxLeft {
		return fmt.Errorf("%d mirrored series are gone: %w", r.mirroredGone, ErrReplaced)
	}
	return nil
}

func (r *File) takeMirrored(m *mirrored, v mirrorValue) error {
	all, err := mirror.Decode(v.name, v.value)
	if err != nil {
		return err
	}
	there := make(map[string]int, len(all))
	for _, s := range all {
		wording := string(layout.AppendFamily(nil, 0, s.Family))
		key := wording + "\xff" + strings.Join(s.Values, "\xff")
		i, known := m.entries[key]
		if known && r.entries[r.fixed[i].entry].Created != s.Created {
			// Deleted, and made again: what it was leaves with its start timestamp.
			r.leave(i)
			known = false
		}
		if !known {
			if i, err = r.addMirrored(m, s.Family, wording, Entry{Values: s.Values, Created: s.Created}); err != nil {
				return err
			}
		}
		r.fixed[i].words, there[key] = s.Words, i
		if err := r.keepNative(r.fixed[i].entry, s.Native); err != nil {
			return err
		}
	}
	for key, i := range m.entries {
		if _, ok := there[key]; !ok {
			r.leave(i)
		}
	}
	m.entries, m.value = there, v.value
	return nil
}

// addMirrored adds a series, and its family if it is new.
func (r *File) addMirrored(m *mirrored, f *layout.Family, wording string, e Entry) (int, error) {
	family, known := m.families[wording]
	if !known {
		if err := r.keepFamily(f); err != nil {
			return 0, err
		}
		family = len(r.families) - 1
		m.families[wording] = family
	}
	e.Family, e.series = family, mirroredSeries
	if err := r.keepEntry(r.families[family], e); err != nil {
		return 0, err
	}
	r.fixed = append(r.fixed, fixed{entry: len(r.entries) - 1, at: r.entries[len(r.entries)-1].At})
	return len(r.fixed) - 1, nil
}

// nativeBytes is what a native bucket takes.
const nativeBytes = 16

// keepNative takes the native buckets of an entry, nil for none, within the bounds.
func (r *File) keepNative(entry int, n *layout.Native) error {
	bytes := func(n *layout.Native) int64 {
		if n == nil {
			return 0
		}
		return entryBytes + nativeBytes*int64(len(n.Positive)+len(n.Negative))
	}
	r.memory += bytes(n) - bytes(r.natives[entry])
	if r.memory > maxFileMemory {
		return fmt.Errorf("native histograms that take more than %d MiB: %w", maxFileMemory>>20, layout.ErrLimit)
	}
	if n == nil {
		delete(r.natives, entry)
		return nil
	}
	if r.natives == nil {
		r.natives = map[int]*layout.Native{}
	}
	r.natives[entry] = n
	return nil
}

// leave marks a mirrored series as gone.
func (r *File) leave(i int) {
	r.entries[r.fixed[i].entry].Gone = true
	_ = r.keepNative(r.fixed[i].entry, nil)
	r.gone++
	r.mirroredGone++
}

// Mirrored reports whether the entry is of a collector that is not ours.
func (e Entry) Mirrored() bool { return e.series == mirroredSeries }

// MirroredEntry is an entry for which Mirrored is true: of who reads what is in no file.
func MirroredEntry(e Entry) Entry {
	e.series = mirroredSeries
	return e
}
