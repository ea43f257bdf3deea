package layout

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
)

// Beyond one machine there are no cells to map: a process sends what its series
// hold as blocks, and all of a block at once. What a block has for the series of
// its slots stands in two values, because one changes all the time and the other
// hardly ever:
//
//	series  version, then for each slot: kind, and unless it is empty family,
//	        created, label values, and with a base its words
//	values  version of the series that they belong to, then for each slot that is
//	        not empty the words of its value
//
// Versions, families and lengths are uvarints, texts a uvarint length and bytes,
// created eight bytes. A word is a uvarint; one that holds the bits of a float64 is
// turned round first, bit by bit, since most numbers have zeros at their end. What
// words a value has, Family.ValueWords says. A base is what an earlier life of the
// process had in the series when it was absorbed: the value includes it, and it
// counts no second time.
const (
	// BlockSlots is how many series share a block. Part of the format.
	BlockSlots = 64

	emptySlot   = 0
	seriesSlot  = 1
	basedSlot   = 2
	noSlotAfter = basedSlot
)

// Slot is one series of a block.
type Slot struct {
	Family  uint32 // number
	Created int64  // Unix nanoseconds
	Values  []string
	Base    []uint64 // as Family.ValueWords describes them; nil: none
}

// AppendSlots appends what a block says of its series; nil is an empty slot.
func AppendSlots(b []byte, version uint64, families func(number uint32) *Family, slots []*Slot) []byte {
	b = binary.AppendUvarint(b, version)
	for _, s := range slots {
		switch {
		case s == nil:
			b = append(b, emptySlot)
			continue
		case s.Base == nil:
			b = append(b, seriesSlot)
		default:
			b = append(b, basedSlot)
		}
		b = binary.AppendUvarint(b, uint64(s.Family))
		b = appendStrings(appendTime(b, s.Created), s.Values)
		if s.Base != nil {
			b = AppendWords(b, families(s.Family), s.Base)
		}
	}
	return b
}

// DecodeSlots reads what AppendSlots appended. families returns nil for a number
// that it does not know. Errors wrap ErrDamaged.
func DecodeSlots(b []byte, families func(number uint32) *Family) (version uint64, slots []*Slot, err error) {
	d := decoder{rest: b}
	version = d.uvarint(math.MaxUint64)
	for len(d.rest) > 0 && len(slots) < BlockSlots {
		kind := d.byte()
		if kind > noSlotAfter {
			d.fail("slot of unknown kind %d", kind)
			break
		}
		if kind == emptySlot {
			slots = append(slots, nil)
			continue
		}
		s := &Slot{Family: d.uint32(), Created: d.time(), Values: d.strings(MaxLabelBytes)}
		f := families(s.Family)
		if d.err == nil && f == nil {
			d.fail("unknown family %d", s.Family)
		}
		if d.err == nil {
			d.err = f.validateValues(s.Values)
		}
		if d.err == nil && kind == basedSlot {
			s.Base = make([]uint64, f.ValueWords())
			d.words(f, s.Base)
		}
		slots = append(slots, s)
	}
	if err := d.finish(); err != nil {
		return 0, nil, fmt.Errorf("series block: %w", err)
	}
	return version, slots, nil
}

// AppendVersion begins the values of a block.
func AppendVersion(b []byte, version uint64) []byte { return binary.AppendUvarint(b, version) }

// AppendWords appends a value of a family.
func AppendWords(b []byte, f *Family, words []uint64) []byte {
	float, mask := f.floatWord()
	for i, w := range words {
		if i == float {
			w = bits.Reverse64(w ^ mask)
		}
		b = binary.AppendUvarint(b, w)
	}
	return b
}

// VersionOf returns the version that the values, or the series, of a block begin
// with.
func VersionOf(b []byte) (version uint64, err error) {
	d := decoder{rest: b}
	version = d.uvarint(math.MaxUint64)
	return version, d.err
}

// DecodeValues reads the values of a block whose slots are of these families, nil
// for an empty one, into words, one behind the other. Errors wrap ErrDamaged.
func DecodeValues(b []byte, families []*Family, words []uint64) error {
	d := decoder{rest: b}
	d.uvarint(math.MaxUint64)
	for _, f := range families {
		if f != nil {
			n := f.ValueWords()
			d.words(f, words[:n])
			words = words[n:]
		}
	}
	if err := d.finish(); err != nil {
		return fmt.Errorf("values block: %w", err)
	}
	return nil
}

func (d *decoder) words(f *Family, words []uint64) {
	float, mask := f.floatWord()
	for i := range words {
		words[i] = d.uvarint(math.MaxUint64)
		if i == float {
			words[i] = bits.Reverse64(words[i]) ^ mask
		}
	}
}

// floatWord is the index of the word of a value that holds a float64, and what is
// taken off it: the cell of a gauge is zero when it was never set, not when it is 0.
func (f *Family) floatWord() (index int, mask uint64) {
	if f.ByMode() && !f.Mode.Timed() {
		return 0, gaugeMask
	}
	return 1, 0
}
