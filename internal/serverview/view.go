package serverview

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
	"github.com/mpmetrics/mpmetrics/internal/mirror"
	"github.com/mpmetrics/mpmetrics/internal/reader"
	"github.com/mpmetrics/mpmetrics/internal/remote"
	"github.com/mpmetrics/mpmetrics/internal/table"
)

// view is one reading of a partition, from its beginning. A view implements scan.Kept.
type view struct {
	part *partition
	of   *Source // nil: the caller keeps no values
	table.Table

	numbers   map[string]int    // field of a family to index in families
	blocks    map[string]*block // by field
	exemplars map[string][]mirror.Exemplar
	encoded   map[string]string // exemplars as they were read
	found     []table.Mirrored  // memory for takeNamed

	refreshed, loaded int // changes of part at the last Refresh and the last Load
	values, spare     []uint64
	counted           int64  // memory that the source counts for the view
	place             uint64 // place of the last good values
}

// block is a block of series.
type block struct {
	encoded  string
	version  uint64
	slots    []slot
	families []*layout.Family // family of each slot; nil: the slot is empty
	words    int
	at       int // index of all values in the table if in a row, else -1
}

// slot is a series in a block.
type slot struct {
	*layout.Slot
	entry int
	rest  []int // numbers of the values that subtract the base
}

func newView(p *partition) *view {
	return &view{
		part: p, numbers: map[string]int{}, blocks: map[string]*block{},
		exemplars: map[string][]mirror.Exemplar{}, encoded: map[string]string{}, refreshed: -1, loaded: -1,
	}
}

// update brings families, entries and values up to date.
func (v *view) update() error {
	if err := v.Refresh(); err != nil {
		return err
	}
	if _, err := v.Load(); err != nil {
		return err
	}
	return v.of.memory.Keep(v.part.name, &v.counted, v.Memory())
}

// Refresh brings families and entries up to date.
func (v *view) Refresh() error {
	if v.refreshed == v.part.changes {
		return nil
	}
	err := v.take()
	if err == nil && v.Gone() > max(table.MaxLeft, len(v.Entries())/2) {
		err = fmt.Errorf("%d series are deleted: %w", v.Gone(), reader.ErrReplaced)
	}
	if err != nil {
		return &fs.PathError{Op: "read", Path: v.part.name, Err: err}
	}
	v.refreshed = v.part.changes
	return nil
}

func (v *view) take() error {
	for _, number := range slices.Sorted(maps.Keys(v.part.families)) {
		if _, known := v.numbers[number]; known {
			continue
		}
		r, err := layout.DecodeRecord([]byte(v.part.families[number]))
		if err == nil && r.Family == nil {
			err = fmt.Errorf("no family record: %w", layout.ErrDamaged)
		}
		index := 0
		if err == nil {
			index, err = v.Family(r.Family, r.Family.Wording())
		}
		if err != nil {
			return fmt.Errorf("family %.20q: %w", number, err)
		}
		v.numbers[number] = index
	}
	for _, field := range slices.Sorted(maps.Keys(v.part.series)) {
		if b := v.blocks[field]; b == nil || b.encoded != v.part.series[field] {
			if err := v.takeBlock(field); err != nil {
				return fmt.Errorf("block %.20q: %w", field, err)
			}
		}
	}
	for field, b := range v.blocks {
		if _, there := v.part.series[field]; !there {
			v.dropAll(b)
			delete(v.blocks, field)
		}
	}
	for field := range v.part.values {
		if v.blocks[field] == nil && remote.IsBlock(field) {
			return fmt.Errorf("block %.20q has values and no series: %w", field, layout.ErrDamaged)
		}
	}
	return v.takeNamed()
}

// numbered returns the family with a number.
func (v *view) numbered(n uint32) *layout.Family {
	if i, known := v.numbers[remote.Number(int(n))]; known {
		return v.Families()[i]
	}
	return nil
}

func (v *view) takeBlock(field string) error {
	encoded := v.part.series[field]
	version, found, err := layout.DecodeSlots([]byte(encoded), v.numbered)
	if err != nil {
		return err
	}
	was := v.blocks[field]
	if was == nil {
		was = &block{}
	}
	b := &block{encoded: encoded, version: version, slots: make([]slot, len(found)), families: make([]*layout.Family, len(found))}
	for i, s := range found {
		var before slot
		if i < len(was.slots) {
			before = was.slots[i]
		}
		switch {
		case s == nil:
			v.drop(&before)
			continue
		case before.Slot != nil && before.Family == s.Family && before.Created == s.Created && slices.Equal(before.Values, s.Values) && slices.Equal(before.Base, s.Base) && before.Share == s.Share:
			b.slots[i] = before
		default:
			v.drop(&before)
			b.slots[i], err = v.addSlot(s)
			if err != nil {
				// The next take begins with an empty block.
				v.dropAll(b)
				v.dropAll(was)
				delete(v.blocks, field)
				return err
			}
		}
		b.families[i] = v.numbered(s.Family)
		at := v.Entries()[b.slots[i].entry].At
		switch {
		case b.words == 0:
			b.at = at
		case at != b.at+b.words:
			b.at = -1
		}
		if s.Base != nil || b.families[i].Type.Bucketed() {
			b.at = -1 // the values of the entries differ, or need a check first
		}
		b.words += b.families[i].ValueWords()
	}
	for i := len(found); i < len(was.slots); i++ {
		v.drop(&was.slots[i])
	}
	v.blocks[field] = b
	return nil
}

// addSlot adds the entries of a slot. After an error there are none.
func (v *view) addSlot(s *layout.Slot) (slot, error) {
	added := slot{Slot: s}
	e := table.Entry{Family: v.numbers[remote.Number(int(s.Family))], Values: s.Values, Created: s.Created, Share: s.Share}
	var err error
	added.entry, err = v.Add(e)
	if err != nil {
		return slot{}, err
	}
	if s.Base != nil {
		added.rest, err = v.AddRest(e, s.Base)
		if err != nil {
			v.drop(&added)
			return slot{}, err
		}
	}
	return added, nil
}

// dropAll marks the entries of a block as deleted.
func (v *view) dropAll(b *block) {
	for i := range b.slots {
		v.drop(&b.slots[i])
	}
}

// drop marks the entries of a slot as deleted.
func (v *view) drop(s *slot) {
	if s.Slot != nil {
		v.Leave(s.entry)
		v.LeaveFixed(s.rest)
	}
}

// takeNamed takes the values whose field is the name of a family.
func (v *view) takeNamed() error {
	v.found = v.found[:0]
	for _, field := range slices.Sorted(maps.Keys(v.part.values)) {
		value := v.part.values[field]
		if name, ok := strings.CutPrefix(field, remote.MirrorField); ok {
			found, base := table.Mirrored{Name: name}, v.part.values[remote.BaseField+name]
			found.Same = v.Mirrors(name, value, base)
			if !found.Same {
				found.Value, found.Base = []byte(value), []byte(base)
			}
			v.found = append(v.found, found)
		}
		if name, ok := strings.CutPrefix(field, remote.ExemplarField); ok && v.encoded[name] != value {
			all, err := mirror.DecodeExemplars([]byte(value))
			if err != nil {
				return fmt.Errorf("exemplars of %.100q: %w", name, err)
			}
			v.exemplars[name], v.encoded[name] = all, value
		}
	}
	for name := range v.encoded {
		if _, there := v.part.values[remote.ExemplarField+name]; !there {
			delete(v.encoded, name)
			delete(v.exemplars, name)
		}
	}
	err := v.TakeMirrored(v.found)
	clear(v.found)
	return err
}

// Load brings the values of all entries up to date.
func (v *view) Load() ([]uint64, error) {
	if v.loaded == v.part.changes {
		return v.values, nil
	}
	words := v.Words()
	if cap(v.spare) < words {
		v.spare = make([]uint64, words, words+words/8)
	}
	v.spare = v.spare[:words]
	var own []uint64
	for field, b := range v.blocks {
		if cap(own) < b.words {
			own = make([]uint64, b.words)
		}
		if err := v.loadBlock(b, v.part.values[field], own[:b.words]); err != nil {
			return nil, &fs.PathError{Op: "read values", Path: v.part.name, Err: fmt.Errorf("block %.20q: %w", field, err)}
		}
	}
	v.CopyFixed(v.spare)
	v.values, v.spare, v.loaded = v.spare, v.values, v.part.changes
	return v.values, nil
}

func (v *view) loadBlock(b *block, encoded string, own []uint64) error {
	if version, err := layout.VersionOf([]byte(encoded)); err != nil || version != b.version {
		// Series and values are of one instant: a hash was dropped, or another program wrote the
		// values.
		return fmt.Errorf("version %d, the series have %d: %w", version, b.version, layout.ErrDamaged)
	}
	if b.at >= 0 {
		return layout.DecodeValues([]byte(encoded), b.families, v.spare[b.at:b.at+b.words])
	}
	if err := layout.DecodeValues([]byte(encoded), b.families, own); err != nil {
		return err
	}
	for i := range b.slots {
		f, s := b.families[i], &b.slots[i]
		if f == nil {
			continue
		}
		n := f.ValueWords()
		value := own[:n:n]
		own = own[n:]
		if f.Type.Bucketed() {
			total := value[0]
			for _, bucket := range value[2:] {
				total -= bucket
			}
			if total != 0 {
				return fmt.Errorf("buckets of %q do not add up: %w", f.Name, layout.ErrDamaged)
			}
		}
		out := v.spare[v.Entries()[s.entry].At:][:n]
		if s.Base != nil {
			merge.Since(f, value, s.Base, out)
			continue
		}
		copy(out, value)
	}
	return nil
}

// Further methods of scan.Kept.

// Release implements scan.Kept.
func (v *view) Release()                                { v.of.release(v) }
func (v *view) Header() *layout.Header                  { return v.part.header }
func (v *view) Size() int64                             { return v.part.size() }
func (v *view) Exemplars() map[string][]mirror.Exemplar { return v.exemplars }

// Absolute returns the values of all own series of a partition. The keys are made by KeyOfSeries.
// nil: the partition is damaged.
func Absolute(c *remote.Content) map[string][]uint64 {
	v := newView(&partition{families: c.Families, series: c.Series, values: c.Values})
	if v.take() != nil {
		return nil
	}
	held := map[string][]uint64{}
	for name, b := range v.blocks {
		words := make([]uint64, b.words)
		if layout.DecodeValues([]byte(c.Values[name]), b.families, words) != nil {
			continue
		}
		for i := range b.slots {
			if f := b.families[i]; f != nil {
				n := f.ValueWords()
				held[KeyOfSeries(f, b.slots[i].Values, b.slots[i].Created)] = words[:n:n]
				words = words[n:]
			}
		}
	}
	return held
}

// KeyOfSeries returns a key that is unique among all series of a process, including series that
// were deleted and made again.
func KeyOfSeries(f *layout.Family, values []string, created int64) string {
	return layout.SeriesKey(f.Wording(), values) + "\xff" + strconv.FormatInt(created, 10)
}
