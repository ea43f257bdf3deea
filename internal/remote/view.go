package remote

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/mirror"
	"github.com/mpmetrics/mpmetrics/internal/reader"
)

// view is one reading of a partition, from its beginning. It implements scan.Kept.
type view struct {
	part *partition
	of   *Source // nil: nothing is kept of it
	table

	numbers   map[string]int    // field of a family to index in families
	blocks    map[string]*block // by field
	mirrored  map[string]*mirrored
	exemplars map[string][]mirror.Exemplar
	encoded   map[string]string // these, as they were read
	fixed     []fixed           // values that do not stand in blocks

	refreshed, loaded int // changes of part that were taken
	values, spare     []uint64
	counted           int64  // of the memory of the source
	place             uint64 // of the last good values
}

// block is a block of series.
type block struct {
	encoded  string
	version  uint64
	slots    []slot
	families []*layout.Family // of each; nil: empty
	words    int
	at       int // where all its values stand, one behind the other; -1: they do not, or are not what the block says
}

// slot is a series in a block.
type slot struct {
	*layout.Slot
	entry int
	fixed []int // what its base amounts to: index in view.fixed
}

// fixed is the value of an entry that Refresh has found.
type fixed struct {
	entry int // -1: nobody's any more
	words []uint64
}

// mirrored is a family of a collector that is not ours.
type mirrored struct {
	value, base string
	series      map[string][]int // by wording and label values: index in view.fixed
}

func newView(p *partition) *view {
	return &view{
		part: p, numbers: map[string]int{}, blocks: map[string]*block{}, mirrored: map[string]*mirrored{},
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
	return v.of.memory.Keep(v.part.name, &v.counted, v.memory)
}

// Refresh brings families and entries up to date.
func (v *view) Refresh() error {
	if v.refreshed == v.part.changes {
		return nil
	}
	err := v.take()
	if err == nil && v.crowded() {
		err = fmt.Errorf("%d series are gone: %w", v.gone, reader.ErrReplaced)
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
			index, err = v.family(r.Family)
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
			for i := range b.slots {
				v.drop(&b.slots[i])
			}
			delete(v.blocks, field)
		}
	}
	for field := range v.part.values {
		if v.blocks[field] == nil && isBlock(field) {
			return fmt.Errorf("block %.20q has values and no series: %w", field, layout.ErrDamaged)
		}
	}
	return v.takeNamed()
}

// isBlock reports whether a field of values is that of a block.
func isBlock(field string) bool { return field != "" && field[0] <= '9' }

// numbered returns a family by its number.
func (v *view) numbered(n uint32) *layout.Family {
	if i, known := v.numbers[number(int(n))]; known {
		return v.families[i]
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
		case before.Slot != nil && before.Family == s.Family && before.Created == s.Created && slices.Equal(before.Values, s.Values) && slices.Equal(before.Base, s.Base):
			b.slots[i] = before
		default:
			v.drop(&before)
			b.slots[i], err = v.addSlot(s)
			if err != nil {
				return err
			}
		}
		b.families[i] = v.numbered(s.Family)
		at := v.entries[b.slots[i].entry].At
		switch {
		case b.words == 0:
			b.at = at
		case at != b.at+b.words:
			b.at = -1
		}
		if s.Base != nil || b.families[i].Type.Bucketed() {
			b.at = -1 // they are not the values of the entries, or looked at first
		}
		b.words += b.families[i].ValueWords()
	}
	for i := len(found); i < len(was.slots); i++ {
		v.drop(&was.slots[i])
	}
	v.blocks[field] = b
	return nil
}

func (v *view) addSlot(s *layout.Slot) (slot, error) {
	added := slot{Slot: s}
	e := reader.Entry{Family: v.numbers[number(int(s.Family))], Values: s.Values, Created: s.Created}
	var err error
	added.entry, err = v.add(e)
	if err != nil || s.Base == nil {
		return added, err
	}
	added.fixed, err = v.addRest(e, s.Base)
	return added, err
}

// addRest adds entries for what a base amounts to.
func (v *view) addRest(e reader.Entry, base []uint64) (added []int, err error) {
	for _, words := range rest(v.families[e.Family], base) {
		i, err := v.addFixed(e, words)
		if err != nil {
			return nil, err
		}
		added = append(added, i)
	}
	return added, nil
}

func (v *view) addFixed(e reader.Entry, words []uint64) (int, error) {
	i, err := v.add(e)
	v.fixed = append(v.fixed, fixed{i, words})
	return len(v.fixed) - 1, err
}

// drop takes a slot out.
func (v *view) drop(s *slot) {
	if s.Slot != nil {
		v.leave(s.entry)
		v.dropFixed(s.fixed)
	}
}

func (v *view) dropFixed(all []int) {
	for _, i := range all {
		v.leave(v.fixed[i].entry)
		v.fixed[i] = fixed{entry: -1}
	}
}

// takeNamed takes what stands in values by the name of its family.
func (v *view) takeNamed() error {
	for _, field := range slices.Sorted(maps.Keys(v.part.values)) {
		value := v.part.values[field]
		if name, ok := strings.CutPrefix(field, MirrorField); ok {
			if err := v.takeMirrored(name, value, v.part.values[BaseField+name]); err != nil {
				return fmt.Errorf("mirrored family %.100q: %w", name, err)
			}
		}
		if name, ok := strings.CutPrefix(field, ExemplarField); ok && v.encoded[name] != value {
			all, err := mirror.DecodeExemplars([]byte(value))
			if err != nil {
				return fmt.Errorf("exemplars of %.100q: %w", name, err)
			}
			v.exemplars[name], v.encoded[name] = all, value
		}
	}
	for name, m := range v.mirrored {
		if _, there := v.part.values[MirrorField+name]; !there {
			for _, all := range m.series {
				v.dropFixed(all)
			}
			delete(v.mirrored, name)
		}
	}
	for name := range v.encoded {
		if _, there := v.part.values[ExemplarField+name]; !there {
			delete(v.encoded, name)
			delete(v.exemplars, name)
		}
	}
	return nil
}

func (v *view) takeMirrored(name, value, base string) error {
	m := v.mirrored[name]
	if m == nil {
		m = &mirrored{}
		v.mirrored[name] = m
	}
	if m.value == value && m.base == base {
		return nil
	}
	all, err := mirror.Decode(name, []byte(value))
	if err != nil {
		return err
	}
	bases := map[string]mirror.Series{}
	if base != "" {
		was, err := mirror.Decode(name, []byte(base))
		if err != nil {
			return fmt.Errorf("base: %w", err)
		}
		for _, s := range was {
			bases[keyOf(s.Family, s.Values)] = s
		}
	}
	there := make(map[string][]int, len(all))
	v.natives = maps.Clone(v.natives)
	for _, s := range all {
		key := keyOf(s.Family, s.Values)
		b, based := bases[key]
		words, native := s.Words, s.Native
		if based = based && b.Created == s.Created; based {
			words = make([]uint64, len(s.Words))
			since(s.Family, s.Words, b.Words, words)
			native = nativeSince(native, b.Native)
		}
		indexes := m.series[key]
		if len(indexes) > 0 && (m.base != base || v.entries[v.fixed[indexes[0]].entry].Created != s.Created) {
			v.dropFixed(indexes)
			indexes = nil
		}
		if indexes == nil {
			if indexes, err = v.addMirrored(s, b.Words, based); err != nil {
				return err
			}
		}
		v.fixed[indexes[0]].words = words
		there[key] = indexes
		if native != nil {
			if v.natives == nil {
				v.natives = map[int]*layout.Native{}
			}
			v.natives[v.fixed[indexes[0]].entry] = native
		}
	}
	for key, indexes := range m.series {
		if _, ok := there[key]; !ok {
			v.dropFixed(indexes)
		}
	}
	m.value, m.base, m.series = value, base, there
	return nil
}

// keyOf is unique among the series of a process that exist at a time.
func keyOf(f *layout.Family, values []string) string {
	return string(layout.AppendFamily(nil, 0, f)) + "\xff" + strings.Join(values, "\xff")
}

func (v *view) addMirrored(s mirror.Series, base []uint64, based bool) ([]int, error) {
	family, err := v.family(s.Family)
	if err != nil {
		return nil, err
	}
	if n := s.Native; n != nil {
		if err := v.table.take(int64(entryBytes + nativeBytes*(len(n.Positive)+len(n.Negative)))); err != nil {
			return nil, err
		}
	}
	e := reader.MirroredEntry(reader.Entry{Family: family, Values: s.Values, Created: s.Created})
	i, err := v.addFixed(e, nil)
	if err != nil || !based {
		return []int{i}, err
	}
	more, err := v.addRest(e, base)
	return append([]int{i}, more...), err
}

// Load brings the values of all entries up to date.
func (v *view) Load() ([]uint64, error) {
	if v.loaded == v.part.changes {
		return v.values, nil
	}
	if cap(v.spare) < v.words {
		v.spare = make([]uint64, v.words, v.words+v.words/8)
	}
	v.spare = v.spare[:v.words]
	var own []uint64
	for field, b := range v.blocks {
		if cap(own) < b.words {
			own = make([]uint64, b.words)
		}
		if err := v.loadBlock(b, v.part.values[field], own[:b.words]); err != nil {
			return nil, &fs.PathError{Op: "read values", Path: v.part.name, Err: fmt.Errorf("block %.20q: %w", field, err)}
		}
	}
	for _, f := range v.fixed {
		if f.entry >= 0 {
			copy(v.spare[v.entries[f.entry].At:], f.words)
		}
	}
	v.values, v.spare, v.loaded = v.spare, v.values, v.part.changes
	return v.values, nil
}

func (v *view) loadBlock(b *block, encoded string, own []uint64) error {
	if version, err := layout.VersionOf([]byte(encoded)); err != nil || version != b.version {
		// They were read at one instant: some of them were dropped, or tampered with.
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
		out := v.spare[v.entries[s.entry].At:][:n]
		if s.Base != nil {
			since(f, value, s.Base, out)
			continue
		}
		copy(out, value)
	}
	return nil
}

// The rest of scan.Kept.

// Release implements scan.Kept.
func (v *view) Release()                                { v.of.release(v) }
func (v *view) Header() *layout.Header                  { return v.part.header }
func (v *view) Families() []*layout.Family              { return v.families }
func (v *view) Entries() []reader.Entry                 { return v.entries }
func (v *view) Gone() int                               { return v.gone }
func (v *view) Size() int64                             { return v.part.size() }
func (v *view) Exemplars() map[string][]mirror.Exemplar { return v.exemplars }
