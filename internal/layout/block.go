package layout

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
)

// A server has no cells to map: a process sends the values of its series in blocks, and each block
// as a whole. Two values on the server hold a block, because the words change all the time and the
// series hardly ever:
//
//	series  version, then for each slot: kind, and unless the slot is empty family,
//	        created, label values, and with a base its words; a share is a deleted
//	        series, see record.go
//	values  version of the series, then for each slot with a series the words of
//	        its value
//
// Versions, families and lengths are uvarints, texts a uvarint length and bytes, created eight
// bytes. A word is a uvarint. The order of the bits of a float64 is reversed first, because most
// numbers end in zeros. Family.ValueWords lists the words of a value. A base is the value of the
// series when an earlier life of the process was absorbed. The value includes the base; readers
// subtract the base, otherwise the earlier life would count twice.
const (
	// BlockSlots is how many series share a block. Part of the format.
	BlockSlots = 64

	emptySlot   = 0
	seriesSlot  = 1
	basedSlot   = 2
	shareSlots  = 2 // further: share, and share with a base
	noSlotAfter = basedSlot + shareSlots
)

// Slot is one series of a block.
type Slot struct {
	Family  uint32 // number
	Created int64  // Unix nanoseconds
	Values  []string
	Base    []uint64 // as Family.ValueWords lists them; nil: no base
	Share   bool
}

// AppendSlots appends the series of a block. nil is an empty slot.
func AppendSlots(b []byte, version uint64, families func(number uint32) *Family, slots []*Slot) []byte {
	b = binary.AppendUvarint(b, version)
	for _, s := range slots {
		if s == nil {
			b = append(b, emptySlot)
			continue
		}
		kind := byte(seriesSlot)
		if s.Base != nil {
			kind = basedSlot
		}
		if s.Share {
			kind += shareSlots
		}
		b = append(b, kind)
		b = binary.AppendUvarint(b, uint64(s.Family))
		b = appendStrings(appendTime(b, s.Created), s.Values)
		if s.Base != nil {
			b = AppendWords(b, families(s.Family), s.Base)
		}
	}
	return b
}

// DecodeSlots reads the bytes of AppendSlots. families returns nil for an unknown number. Errors
// wrap ErrDamaged.
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
		s := &Slot{Share: kind > basedSlot}
		if s.Share {
			kind -= shareSlots
		}
		s.Family, s.Created, s.Values = d.uint32(), d.time(), d.strings(MaxLabelBytes)
		f := families(s.Family)
		if d.err == nil && f == nil {
			d.fail("unknown family %d", s.Family)
		}
		if d.err == nil && s.Share && f.ByMode() {
			d.fail("share of %v %q", f.Type, f.Name)
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

// VersionOf returns the version at the start of the values, or of the series, of a block.
func VersionOf(b []byte) (version uint64, err error) {
	d := decoder{rest: b}
	version = d.uvarint(math.MaxUint64)
	return version, d.err
}

// DecodeValues reads the values of a block into words, slot after slot. families are the families
// of the slots, nil for an empty slot. Errors wrap ErrDamaged.
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

// floatWord returns the index of the word with a float64 in a value, and the mask of EncodeGauge for
// the cell of a gauge, otherwise 0. Without the mask the bits of a round number end in zeros.
func (f *Family) floatWord() (index int, mask uint64) {
	if f.ByMode() && !f.Mode.Timed() {
		return 0, gaugeMask
	}
	return 1, 0
}
