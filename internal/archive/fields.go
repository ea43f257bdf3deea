package archive

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
)

// On a server an archive is a hash of fields, so that an absorption writes only the changed
// totals:
//
//	state             the state record
//	pruned            how often ids left the archive, a decimal number: its epoch
//	f + family        family record, rank record
//	t + family values total record, native records
//	d + id            dead record, then for each sample: its family record, unless
//	                  an earlier sample had the same, and the sample record
//	i + id            absorbed record, of one id
//	open              open records
//
// family is the first 16 bytes of the SHA-256 of the family record, values are the label values
// with a byte 0xff between each two, and id is 16 bytes. The records of a field follow each other,
// each after its length as a uvarint. Numbers in records are local to the field.
const (
	stateField    = "state"
	prunedField   = "pruned"
	familyField   = "f"
	totalField    = "t"
	deadField     = "d"
	absorbedField = "i"
	openField     = "open"

	digestBytes = 16
)

// DeadField is the field of the All samples of a dead process.
func DeadField(id layout.ID) string { return deadField + string(id[:]) }

// AbsorbedField is the field of an absorbed process.
func AbsorbedField(id layout.ID) string { return absorbedField + string(id[:]) }

// Fields returns the archive as a hash. The same archive has the same fields.
func (a *Archive) Fields() (map[string]string, error) {
	e := &fieldEncoder{fields: map[string]string{}}
	e.put(stateField, layout.AppendState(nil, &a.State))
	e.fields[prunedField] = strconv.FormatUint(uint64(a.Epoch), 10)
	for _, account := range a.Ledger.Accounts() {
		family := layout.AppendFamily(nil, 0, account.Family)
		digest := digestOf(family)
		rank := layout.Rank{}
		rank.Start, rank.ID = account.Newest()
		e.put(familyField+digest, family, layout.AppendRank(nil, &rank))
		for _, total := range account.Entries() {
			records := [][]byte{layout.AppendTotal(nil, &layout.Total{
				Created: total.Created, Touched: total.Touched, Values: total.Values, Sums: total.Sums(),
			})}
			if total.Native() != nil {
				for _, n := range total.Native().Parts() {
					records = append(records, layout.AppendNative(nil, &n))
				}
			}
			e.put(totalField+digest+strings.Join(total.Values, "\xff"), records...)
		}
	}
	for _, d := range a.sortedDead() {
		e.put(DeadField(d.ID), deadRecords(d)...)
	}
	for _, p := range a.absorbed {
		e.put(AbsorbedField(p.ID), layout.AppendAbsorbed(nil, []layout.Absorbed{p}))
	}
	var open [][]byte
	for ids := range slices.Chunk(a.open, layout.IDsPerRecord) {
		open = append(open, layout.AppendOpen(nil, ids))
	}
	e.put(openField, open...)
	return e.fields, e.err
}

func deadRecords(d *merge.Dead) [][]byte {
	records := [][]byte{layout.AppendDead(nil, &layout.Dead{ID: d.ID, Start: d.Start, Time: d.Time, Label: d.Label})}
	known := map[int]bool{}
	for _, in := range d.Inputs {
		if !known[in.Family] {
			known[in.Family] = true
			records = append(records, layout.AppendFamily(nil, uint32(in.Family), d.Families[in.Family]))
		}
		records = append(records, layout.AppendSample(nil, &layout.Sample{
			Family: uint32(in.Family), Created: in.Created, Values: in.Values, Cell: d.Values[in.At],
		}))
	}
	return records
}

func digestOf(family []byte) string {
	sum := sha256.Sum256(family)
	return string(sum[:digestBytes])
}

type fieldEncoder struct {
	fields map[string]string
	err    error
}

func (e *fieldEncoder) put(field string, records ...[]byte) {
	var b []byte
	for _, r := range records {
		if len(r) > layout.MaxArchiveRecordBytes && e.err == nil {
			e.err = fmt.Errorf("record of %d bytes, above the limit of %d", len(r), layout.MaxArchiveRecordBytes)
		}
		b = append(binary.AppendUvarint(b, uint64(len(r))), r...)
	}
	e.fields[field] = string(b)
}

// FromFields makes an archive from the fields of Fields, or an empty archive from no fields.
// generation is new at each writing of the hash. Returned is always false for the archive, because
// a server restores the archive and the processes together. Errors wrap layout.ErrDamaged or
// layout.ErrLimit.
func FromFields(fields map[string]string, generation layout.ID) (*Archive, error) {
	if len(fields) == 0 {
		return New(), nil
	}
	pruned, err := strconv.ParseUint(fields[prunedField], 10, 32)
	if err != nil {
		return nil, fmt.Errorf("archive: %w: %w", err, layout.ErrDamaged)
	}
	d := &fieldDecoder{Decoder: NewDecoder(&layout.Header{ID: generation, Generation: uint32(pruned)}), numbers: map[string]uint32{}}
	keys := slices.Sorted(maps.Keys(fields))
	// Families come before the records with their numbers, and the state before all.
	take := []func(field, value string) error{d.state, d.familyWithRank, d.totals, d.samples, d.ids, d.ids}
	for i, prefix := range []string{stateField, familyField, totalField, deadField, absorbedField, openField} {
		for _, key := range keys {
			rest, ok := strings.CutPrefix(key, prefix)
			if !ok || prefix == totalField && len(rest) < digestBytes {
				continue
			}
			if err := take[i](rest, fields[key]); err != nil {
				return nil, fmt.Errorf("archive: field %.100q: %w", key, err)
			}
			d.archive.Size += int64(len(key) + len(fields[key]))
		}
	}
	a, err := d.Archive()
	if err == nil {
		a.together = true
	}
	return a, err
}

// fieldDecoder passes the records of fields to a Decoder, and gives families numbers valid in all
// fields.
type fieldDecoder struct {
	*Decoder
	numbers map[string]uint32 // of families, by digest
}

// each calls do for the records of a field.
func each(value string, do func(r layout.Record) error) error {
	b := []byte(value)
	for len(b) > 0 {
		n, head := binary.Uvarint(b)
		if head <= 0 || n > uint64(len(b)-head) {
			return fmt.Errorf("record is cut short: %w", layout.ErrDamaged)
		}
		r, err := layout.DecodeRecord(b[head : head+int(n)])
		if err != nil {
			return err
		}
		if err := do(r); err != nil {
			return err
		}
		b = b[head+int(n):]
	}
	return nil
}

func (d *fieldDecoder) state(_, value string) error { return each(value, d.Take) }

func (d *fieldDecoder) familyWithRank(digest, value string) error {
	number := uint32(len(d.families))
	d.numbers[digest] = number
	return each(value, func(r layout.Record) error {
		r.Number = number
		if r.Rank != nil {
			r.Rank.Family = number
		}
		return d.Take(r)
	})
}

func (d *fieldDecoder) totals(key, value string) error {
	number, known := d.numbers[key[:digestBytes]]
	if !known {
		return fmt.Errorf("total of an unknown family: %w", layout.ErrDamaged)
	}
	return each(value, func(r layout.Record) error {
		if r.Total != nil {
			r.Total.Family = number
		}
		return d.Take(r)
	})
}

func (d *fieldDecoder) samples(_, value string) error {
	dead := uint32(len(d.dead))
	local := map[uint32]uint32{}
	return each(value, func(r layout.Record) error {
		switch {
		case r.Dead != nil:
			r.Dead.Number = dead
		case r.Family != nil:
			local[r.Number] = uint32(len(d.families))
			r.Number = local[r.Number]
		case r.Sample != nil:
			number, known := local[r.Sample.Family]
			if !known {
				return fmt.Errorf("sample of an unknown family: %w", layout.ErrDamaged)
			}
			r.Sample.Dead, r.Sample.Family = dead, number
		}
		return d.Take(r)
	})
}

func (d *fieldDecoder) ids(_, value string) error { return each(value, d.Take) }
