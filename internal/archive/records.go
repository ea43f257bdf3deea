package archive

import (
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
)

// Records are the payloads of an archive's log, in the order of layout: equal archives have equal
// records. A payload is valid until the next.
func (a *Archive) Records() iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		e := &encoder{families: map[string]uint32{}}
		more := func(payload []byte) bool {
			e.record = payload
			if len(payload) > layout.MaxArchiveRecordBytes {
				return yield(nil, fmt.Errorf("record of %d bytes, above the limit of %d", len(payload), layout.MaxArchiveRecordBytes))
			}
			return yield(payload, nil)
		}
		_ = more(layout.AppendState(e.record[:0], &a.State)) && e.uptimes(a, more) &&
			e.totals(a, more) && e.dead(a, more) && e.bases(a, more) && e.ids(a, more)
	}
}

// encoder makes records.
type encoder struct {
	record   []byte            // the payload being made
	families map[string]uint32 // numbers by wording
}

func (e *encoder) uptimes(a *Archive, more func([]byte) bool) bool {
	return a.Uptimes == layout.Uptimes{} || more(layout.AppendUptimes(e.record[:0], a.Uptimes))
}

func (e *encoder) totals(a *Archive, more func([]byte) bool) bool {
	for _, account := range a.Ledger.Accounts() {
		number, ok := e.family(account.Family, more)
		if !ok {
			return false
		}
		rank := layout.Rank{Family: number}
		rank.Start, rank.ID = account.Newest()
		if !more(layout.AppendRank(e.record[:0], &rank)) {
			return false
		}
		for _, total := range account.Entries() {
			if !more(layout.AppendTotal(e.record[:0], &layout.Total{
				Family: number, Created: total.Created, Touched: total.Touched, Values: total.Values, Sums: total.Sums(),
			})) {
				return false
			}
			if !e.native(total, more) {
				return false
			}
		}
	}
	return true
}

func (e *encoder) native(total *merge.Entry, more func([]byte) bool) bool {
	if total.Native() == nil {
		return true
	}
	for _, n := range total.Native().Parts() {
		if !more(layout.AppendNative(e.record[:0], &n)) {
			return false
		}
	}
	return true
}

func (e *encoder) dead(a *Archive, more func([]byte) bool) bool {
	for i, d := range a.sortedDead() {
		if !more(layout.AppendDead(e.record[:0], &layout.Dead{Number: uint32(i), ID: d.ID, Start: d.Start, Time: d.Time, Label: d.Label})) {
			return false
		}
		for _, in := range d.Inputs {
			number, ok := e.family(d.Families[in.Family], more)
			if !ok || !more(layout.AppendSample(e.record[:0], &layout.Sample{
				Dead: uint32(i), Family: number, Created: in.Created, Values: in.Values, Cell: d.Values[in.At],
			})) {
				return false
			}
		}
	}
	return true
}

func (e *encoder) bases(a *Archive, more func([]byte) bool) bool {
	for _, id := range slices.SortedFunc(maps.Keys(a.Ledger.Bases), compare) {
		b := a.Ledger.Bases[id]
		if !more(layout.AppendBase(e.record[:0], layout.Base{ID: id, Whole: b.Whole})) {
			return false
		}
		for i, in := range b.Inputs {
			f := b.Families[in.Family]
			number, ok := e.family(f, more)
			if !ok || !more(layout.AppendCounted(e.record[:0], &layout.Counted{
				Family: number, Created: in.Created, Values: in.Values, Words: b.Values[in.At:][:f.ValueWords()],
			})) {
				return false
			}
			if n := b.Natives[i]; n != nil && !more(layout.AppendNative(e.record[:0], n)) {
				return false
			}
		}
	}
	return true
}

func (e *encoder) ids(a *Archive, more func([]byte) bool) bool {
	for ids := range slices.Chunk(a.absorbed, layout.IDsPerRecord) {
		if !more(layout.AppendAbsorbed(e.record[:0], ids)) {
			return false
		}
	}
	for ids := range slices.Chunk(a.open, layout.IDsPerRecord) {
		if !more(layout.AppendOpen(e.record[:0], ids)) {
			return false
		}
	}
	return true
}

// family returns the number of a family. The record of a new family goes to more first.
func (e *encoder) family(f *layout.Family, more func([]byte) bool) (uint32, bool) {
	key := string(layout.AppendFamily(e.record[:0], 0, f))
	number, known := e.families[key]
	if known {
		return number, true
	}
	number = uint32(len(e.families))
	e.families[key] = number
	return number, more(layout.AppendFamily(e.record[:0], number, f))
}
