package layout

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
)

// RecordKind is the first byte of a record's payload. The numbers are part of the format. After
// the kind, numbers are uvarints, texts a uvarint length and bytes, times and bounds eight bytes.
//
//	family  number, type, mode, name, help, unit, labels, const labels, bounds
//	series  number, family, slab, word, created, label values
//	gone    series, time
//	share   series, 1 if the series is a share from now on, 0 if not
//
// A share is a deleted series whose count is added to the total only while others have the series.
// archive.go lists the kinds for archives only.
type RecordKind uint8

// The kinds of records.
const (
	FamilyRecord RecordKind = 1
	SeriesRecord RecordKind = 2
	GoneRecord   RecordKind = 4 // 3 was never written
	ShareRecord  RecordKind = 5
)

// RecordWordBytes is the size of the word before each payload.
const RecordWordBytes = WordBytes

// Continued in the low half of a record word ends the slab: the log goes on in the slab whose
// number is in the high half.
const Continued = math.MaxUint32

// RecordWord returns the word that publishes a payload.
func RecordWord(payload []byte) uint64 {
	return uint64(checksum(payload))<<32 | uint64(len(payload))
}

// ContinueWord returns the word that ends a slab of the log.
func ContinueWord(next uint32) uint64 { return uint64(next)<<32 | Continued }

// RecordLength returns the length of the payload after a record word.
func RecordLength(word uint64) uint32 { return uint32(word) }

// ContinuedIn returns the slab number in a ContinueWord.
func ContinuedIn(word uint64) uint32 { return uint32(word >> 32) }

// RecordBytes is the room for a payload of so many bytes in a slab.
func RecordBytes(payload int) int {
	return RecordWordBytes + (payload+WordBytes-1)/WordBytes*WordBytes
}

// CheckRecord compares a payload with the word before it.
func CheckRecord(word uint64, payload []byte) error {
	if want := uint32(word >> 32); checksum(payload) != want {
		return fmt.Errorf("record checksum %#x, want %#x: %w", checksum(payload), want, ErrDamaged)
	}
	return nil
}

// Label is a name and its value.
type Label struct {
	Name, Value string
}

// Family is the common part of all series of one metric name.
type Family struct {
	Type        Type
	Mode        Mode // zero unless a gauge
	Name        string
	Help        string
	Unit        string
	LabelNames  []string
	ConstLabels []Label
	Bounds      []float64 // of a histogram: finite, strictly ascending, +Inf is implied
}

// Place names a run of cells: a slab and the first word in its body.
type Place struct {
	Slab uint32
	Word uint32
}

// Series is one combination of label values of a family. Values stand in the
// order of the family's LabelNames.
type Series struct {
	Number  uint32
	Family  uint32
	Place   Place
	Created int64 // Unix nanoseconds
	Values  []string
}

// Gone is the deletion of a series.
type Gone struct {
	Series uint32
	Time   int64 // Unix nanoseconds
}

// Share says whether a series is a share from now on.
type Share struct {
	Series uint32
	On     bool
}

// SeriesOf returns the series number in the payload of a series, gone or share record.
func SeriesOf(payload []byte) uint32 {
	n, _ := binary.Uvarint(payload[1:])
	return uint32(n)
}

// Wording is a text that two families have in common only when they are equal.
func (f *Family) Wording() string { return string(AppendFamily(nil, 0, f)) }

// ValuesKey is unique among the label values of a family: 0xff is in no UTF-8.
func ValuesKey(values []string) string { return strings.Join(values, "\xff") }

// SeriesKey is unique among the series that a process has at a time, given the Wording
// of the family.
func SeriesKey(wording string, values []string) string { return wording + "\xff" + ValuesKey(values) }

// AppendFamily appends the payload of a family record.
func AppendFamily(b []byte, number uint32, f *Family) []byte {
	b = append(b, byte(FamilyRecord))
	b = binary.AppendUvarint(b, uint64(number))
	b = append(b, byte(f.Type), byte(f.Mode))
	b = appendString(b, f.Name)
	b = appendString(b, f.Help)
	b = appendString(b, f.Unit)
	b = appendStrings(b, f.LabelNames)
	b = binary.AppendUvarint(b, uint64(len(f.ConstLabels)))
	for _, l := range f.ConstLabels {
		b = appendString(appendString(b, l.Name), l.Value)
	}
	b = binary.AppendUvarint(b, uint64(len(f.Bounds)))
	for _, v := range f.Bounds {
		b = appendFloat(b, v)
	}
	return b
}

// AppendSeries appends the payload of a series record.
func AppendSeries(b []byte, s *Series) []byte {
	b = append(b, byte(SeriesRecord))
	b = binary.AppendUvarint(b, uint64(s.Number))
	b = binary.AppendUvarint(b, uint64(s.Family))
	b = appendPlace(b, s.Place)
	b = appendTime(b, s.Created)
	return appendStrings(b, s.Values)
}

// AppendGone appends the payload of a gone record.
func AppendGone(b []byte, g Gone) []byte {
	b = append(b, byte(GoneRecord))
	b = binary.AppendUvarint(b, uint64(g.Series))
	return appendTime(b, g.Time)
}

// AppendShare appends the payload of a share record.
func AppendShare(b []byte, s Share) []byte {
	b = append(b, byte(ShareRecord))
	b = binary.AppendUvarint(b, uint64(s.Series))
	return appendBool(b, s.On)
}

func appendBool(b []byte, on bool) []byte {
	if on {
		return append(b, 1)
	}
	return append(b, 0)
}

func appendPlace(b []byte, p Place) []byte {
	b = binary.AppendUvarint(b, uint64(p.Slab))
	return binary.AppendUvarint(b, uint64(p.Word))
}

// Record is the content of one payload: exactly one of the pointers and slices is set.
type Record struct {
	Number uint32 // of the family
	Family *Family
	Series *Series
	Gone   *Gone
	Share  *Share

	// In archives only.
	State    *State
	Uptimes  *Uptimes
	Rank     *Rank
	Total    *Total
	Native   *Native
	Dead     *Dead
	Sample   *Sample
	Absorbed []Absorbed
	Open     []ID
	Base     *Base
	Counted  *Counted
}

// DecodeRecord reads a payload. DecodeRecord checks the shape only; Family.Validate and the reader
// check the meaning. Errors wrap ErrDamaged.
func DecodeRecord(payload []byte) (Record, error) {
	d := decoder{rest: payload}
	var r Record
	kind := RecordKind(d.byte())
	switch kind {
	case FamilyRecord:
		r.Number = d.uint32()
		r.Family = d.family()
	case SeriesRecord:
		s := &Series{
			Number: d.uint32(),
			Family: d.uint32(),
			Place:  d.place(),
		}
		s.Created = d.time()
		s.Values = d.strings(MaxLabelBytes)
		r.Series = s
	case GoneRecord:
		r.Gone = &Gone{Series: d.uint32(), Time: d.time()}
	case ShareRecord:
		r.Share = &Share{Series: d.uint32(), On: d.bool()}
	default:
		d.archived(kind, &r)
	}
	if err := d.finish(); err != nil {
		return Record{}, fmt.Errorf("record: %w", err)
	}
	return r, nil
}

func (d *decoder) family() *Family {
	f := &Family{Type: Type(d.byte()), Mode: Mode(d.byte())}
	f.Name = d.string(MaxNameBytes)
	f.Help = d.string(MaxHelpBytes)
	f.Unit = d.string(MaxNameBytes)
	f.LabelNames = d.strings(MaxNameBytes)
	if n := d.uvarint(MaxLabels); n > 0 && d.err == nil {
		for range n {
			f.ConstLabels = append(f.ConstLabels, Label{Name: d.string(MaxNameBytes), Value: d.string(MaxLabelBytes)})
		}
	}
	if n := d.uvarint(MaxBuckets); n > 0 && d.err == nil {
		for range n {
			f.Bounds = append(f.Bounds, d.float64())
		}
	}
	return f
}

// strings takes texts of so many bytes each at most.
func (d *decoder) strings(limit uint64) []string {
	n := d.uvarint(MaxLabels)
	if n == 0 || d.err != nil {
		return nil
	}
	// Each string takes at least the byte of its length: a forged count cannot make the slice
	// larger than the record.
	if n > uint64(len(d.rest)) {
		d.fail("%d texts in %d bytes", n, len(d.rest))
		return nil
	}
	s := make([]string, n)
	for i := range s {
		s[i] = d.string(limit)
	}
	return s
}

func (d *decoder) place() Place {
	return Place{Slab: d.uint32(), Word: d.uint32()}
}
