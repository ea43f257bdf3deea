package table

import (
	"bytes"
	"fmt"
	"maps"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
	"github.com/mpmetrics/mpmetrics/internal/mirror"
)

// Mirrored families become families and entries beside the own families of the process: a merger
// sees no difference. The table holds the values of mirrored families, because no cell does.

// Mirrored is a family of a foreign collector, as its process publishes it.
type Mirrored struct {
	Name  string
	Value []byte // as mirror.Encode makes it
	Base  []byte // to subtract, as mirror.Encode makes it; empty: nothing
	Same  bool   // Value and Base are empty here, and as in the last TakeMirrored
}

// mirrored is the decoded state of a family.
type mirrored struct {
	value, base []byte          // nil: the family was never decoded as a whole
	series      map[string]held // by layout.SeriesKey
	taking      int             // number of the last TakeMirrored with the family
}

// held is a series: the number of its value, and the numbers of the values that subtract its base.
type held struct {
	value int
	rest  []int
}

// Mirrors reports whether the last TakeMirrored took a family with the given value and base.
func (t *Table) Mirrors(name, value, base string) bool {
	m := t.mirrored[name]
	return m != nil && m.value != nil && string(m.value) == value && string(m.base) == base
}

// TakeMirrored takes all mirrored families of a process. It decodes the changed families, and marks
// the series of missing families as deleted.
func (t *Table) TakeMirrored(found []Mirrored) error {
	t.natives = maps.Clone(t.natives)
	t.taking++
	for _, f := range found {
		m := t.mirrored[f.Name]
		if m != nil {
			m.taking = t.taking
		}
		if f.Same || m != nil && m.value != nil && bytes.Equal(m.value, f.Value) && bytes.Equal(m.base, f.Base) {
			continue
		}
		if m == nil {
			m = &mirrored{taking: t.taking}
			if t.mirrored == nil {
				t.mirrored = map[string]*mirrored{}
			}
			t.mirrored[f.Name] = m
		}
		if err := t.takeMirrored(m, f); err != nil {
			return fmt.Errorf("mirrored family %.100q: %w", f.Name, err)
		}
	}
	for name, m := range t.mirrored {
		if m.taking != t.taking {
			for _, h := range m.series {
				t.leaveHeld(h)
			}
			delete(t.mirrored, name)
		}
	}
	return nil
}

func (t *Table) leaveHeld(h held) {
	t.leaveFixed(h.value)
	t.LeaveFixed(h.rest)
}

func (t *Table) takeMirrored(m *mirrored, f Mirrored) error {
	all, err := mirror.Decode(f.Name, f.Value)
	if err != nil {
		return err
	}
	bases, err := decodeBases(f.Name, f.Base)
	if err != nil {
		return fmt.Errorf("base: %w", err)
	}
	there := make(map[string]held, len(all))
	if err := t.takeSeries(m, f, all, bases, there); err != nil {
		// The next TakeMirrored begins with the series of before, without those that were added.
		for key, h := range there {
			if old, known := m.series[key]; !known || old.value != h.value {
				t.leaveHeld(h)
			}
		}
		m.value, m.base = nil, nil
		return err
	}
	for key, h := range m.series {
		if _, ok := there[key]; !ok {
			t.leaveHeld(h)
		}
	}
	m.value, m.base, m.series = f.Value, f.Base, there
	return nil
}

// takeSeries takes the series of a family. After an error there has all series that were added.
func (t *Table) takeSeries(m *mirrored, f Mirrored, all []mirror.Series, bases map[string]mirror.Series, there map[string]held) (err error) {
	words := wordings{}
	for _, s := range all {
		wording := words.of(s.Family)
		key := layout.SeriesKey(wording, s.Values)
		base, based := bases[key]
		based = based && base.Created == s.Created
		value, native := s.Words, s.Native
		if based {
			value = make([]uint64, len(s.Words))
			merge.Since(s.Family, s.Words, base.Words, value)
			native = merge.NativeSince(native, base.Native)
		}
		h, known := m.series[key]
		known = known && t.fixed[h.value].entry >= 0 // TakeMirrored may have failed half way before
		if known {
			e := &t.entries[t.fixed[h.value].entry]
			if !bytes.Equal(m.base, f.Base) || e.Created != s.Created || e.Share != s.Share || e.Stamped != s.Stamped {
				// The series was deleted, or made again: the former series leaves with its start
				// timestamp.
				t.leaveHeld(h)
				known = false
			}
		}
		if !known {
			if h, err = t.addMirrored(s, wording, base.Words, based); err != nil {
				return err
			}
		}
		t.fixed[h.value].words, there[key] = value, h
		if err := t.keepNative(t.fixed[h.value].entry, native); err != nil {
			return err
		}
	}
	return nil
}

// decodeBases decodes the base of a family. The keys are made by layout.SeriesKey.
func decodeBases(name string, base []byte) (map[string]mirror.Series, error) {
	if len(base) == 0 {
		return nil, nil
	}
	all, err := mirror.Decode(name, base)
	if err != nil {
		return nil, err
	}
	bases := make(map[string]mirror.Series, len(all))
	words := wordings{}
	for _, s := range all {
		bases[layout.SeriesKey(words.of(s.Family), s.Values)] = s
	}
	return bases, nil
}

// addMirrored adds a series, and the family of a new series if necessary. After an error no series
// was added.
func (t *Table) addMirrored(s mirror.Series, wording string, base []uint64, based bool) (h held, err error) {
	family, err := t.Family(s.Family, wording)
	if err != nil {
		return h, err
	}
	e := Entry{Family: family, Values: s.Values, Created: s.Created, Mirrored: true, Share: s.Share, Stamped: s.Stamped}
	h.value, err = t.AddFixed(e, nil)
	if err != nil || !based {
		return h, err
	}
	h.rest, err = t.AddRest(e, base)
	if err != nil {
		t.leaveHeld(h)
	}
	return h, err
}

// wordings makes the wording of a family once for many series of the family.
type wordings struct {
	family  *layout.Family
	wording string
}

func (w *wordings) of(f *layout.Family) string {
	if w.family != f {
		w.family, w.wording = f, f.Wording()
	}
	return w.wording
}
