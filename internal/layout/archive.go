package layout

import (
	"encoding/binary"
	"fmt"
	"math"
)

// An archive holds the counts of dead processes. An archive is a file of the same format. Its log
// is complete when the file appears, and never changes. An archive has no cells: the records hold
// the values.
//
//	state     times, counts
//	uptimes   two times of the state by another clock, if not zero
//	family    as in the file of a process
//	rank      family, start, id
//	total     family, created, touched, label values, integer part, parts of the float sum, buckets, gauge
//	native    schema, zero threshold, zero count, positive and negative buckets
//	dead      number, id, start, time, label
//	sample    number of the dead, family, created, label values, cell
//	absorbed  ids with start and time, ascending over all such records
//	open      ids, ascending over all such records
//	base      id, 1 if no count of the process is in a total, else 0
//	counted   family, created, label values, value words
//
// The numbers of the kinds are part of the format. The state record is the first record and occurs
// once, and the uptimes record occurs once at most. A family or dead record comes before the records
// with its number. A native record belongs to the total or the counted record before it, and a counted
// record to the base before it.
const (
	StateRecord    RecordKind = 16
	RankRecord     RecordKind = 17
	TotalRecord    RecordKind = 18
	DeadRecord     RecordKind = 19
	SampleRecord   RecordKind = 20
	AbsorbedRecord RecordKind = 21
	OpenRecord     RecordKind = 22
	NativeRecord   RecordKind = 23
	BaseRecord     RecordKind = 24
	CountedRecord  RecordKind = 25
	UptimesRecord  RecordKind = 26
)

// IDsPerRecord is how many ids a writer puts into one record.
const IDsPerRecord = 1024

// MaxArchiveRecordBytes bounds a record of an archive: the longest series record, and the sums of
// a total.
const MaxArchiveRecordBytes = MaxRecordBytes + 64<<10

// maxSumParts bounds the parts of a float sum. Parts do not overlap, and
// float64 has 2098 bits between its smallest and its largest: 40 parts of 53.
const maxSumParts = 64

// State says what became of the archive until now. Times are Unix nanoseconds,
// zero for never.
type State struct {
	Begun   int64 // totals restarted: earlier counts are lost
	Horizon int64 // latest start of a process whose id was pruned
	Last    int64 // absorption
	Looked  int64 // search for series to forget, in vain: living processes have them

	// Totals of all absorptions.
	Absorbed    uint64 // processes
	Quarantined uint64 // files
	Forgotten   uint64 // series
	Unabsorbed  uint64 // sums that were not finite
	Aside       uint64 // archives put aside
}

// Uptimes are times of the State by the clock that nobody can set: nanoseconds since the boot in the
// header. Zero: before that boot, or never.
type Uptimes struct {
	Begun   int64 // totals restarted
	Horizon int64 // all processes with a pruned id began before
}

// Rank is the newest process that defined a family.
type Rank struct {
	Family uint32
	Start  int64
	ID     ID
}

// Total is the count of dead processes for one series.
type Total struct {
	Family  uint32
	Created int64 // start timestamp
	Touched int64 // when the last process with the series was absorbed
	Values  []string
	Sums
}

// Sums are the values of a total.
type Sums struct {
	// Hi and Lo are the 128 bits of the integer part of a counter, and of the
	// observations of a histogram or summary.
	Hi, Lo uint64
	// Parts of the float sum: the exact sum is their sum.
	Parts []float64
	// Buckets of a histogram, +Inf last, not cumulative.
	Buckets []uint64

	// Of a gauge: how often processes set the gauge to a number (Set) and to NaN (NaNs). If Set is
	// not 0: the smallest value, the largest value, and the most recent value with its time.
	Set, NaNs        uint64
	Min, Max, Recent float64
	Time             int64
}

// Dead is a dead process with samples of All gauges.
type Dead struct {
	Number uint32
	ID     ID
	Start  int64
	Time   int64 // of the absorption
	Label  string
}

// Sample is the value of one series of a dead process, of an All gauge.
type Sample struct {
	Dead    uint32
	Family  uint32
	Created int64
	Values  []string
	Cell    uint64 // as EncodeGauge encodes it
}

// Absorbed is a process whose values are in the archive.
type Absorbed struct {
	ID    ID
	Start int64
	Time  int64 // of the absorption
}

// Base is a process whose counts are not in the totals, or a part of whose counts is not: see
// merge.Base.
type Base struct {
	ID    ID
	Whole bool
}

// Counted is the part of the value of one series that is not in the totals.
type Counted struct {
	Family  uint32
	Created int64
	Values  []string
	Words   []uint64 // as Family.ValueWords lists them
}

// AppendState appends the payload of a state record.
func AppendState(b []byte, s *State) []byte {
	b = append(b, byte(StateRecord))
	for _, t := range []int64{s.Begun, s.Horizon, s.Last, s.Looked} {
		b = appendTime(b, t)
	}
	for _, n := range s.counts() {
		b = binary.AppendUvarint(b, *n)
	}
	return b
}

func (s *State) counts() []*uint64 {
	return []*uint64{&s.Absorbed, &s.Quarantined, &s.Forgotten, &s.Unabsorbed, &s.Aside}
}

// AppendUptimes appends the payload of an uptimes record.
func AppendUptimes(b []byte, u Uptimes) []byte {
	return appendTime(appendTime(append(b, byte(UptimesRecord)), u.Begun), u.Horizon)
}

// AppendRank appends the payload of a rank record.
func AppendRank(b []byte, r *Rank) []byte {
	b = append(b, byte(RankRecord))
	b = binary.AppendUvarint(b, uint64(r.Family))
	b = appendTime(b, r.Start)
	return append(b, r.ID[:]...)
}

// AppendTotal appends the payload of a total record.
func AppendTotal(b []byte, t *Total) []byte {
	b = append(b, byte(TotalRecord))
	b = binary.AppendUvarint(b, uint64(t.Family))
	b = appendTime(appendTime(b, t.Created), t.Touched)
	b = appendStrings(b, t.Values)
	b = binary.AppendUvarint(binary.AppendUvarint(b, t.Hi), t.Lo)
	b = binary.AppendUvarint(b, uint64(len(t.Parts)))
	for _, p := range t.Parts {
		b = appendFloat(b, p)
	}
	b = binary.AppendUvarint(b, uint64(len(t.Buckets)))
	for _, n := range t.Buckets {
		b = binary.AppendUvarint(b, n)
	}
	b = binary.AppendUvarint(binary.AppendUvarint(b, t.Set), t.NaNs)
	if t.Set > 0 {
		b = appendFloat(appendFloat(appendFloat(b, t.Min), t.Max), t.Recent)
		b = appendTime(b, t.Time)
	}
	return b
}

// AppendDead appends the payload of a dead record.
func AppendDead(b []byte, d *Dead) []byte {
	b = append(b, byte(DeadRecord))
	b = binary.AppendUvarint(b, uint64(d.Number))
	b = append(b, d.ID[:]...)
	return appendString(appendTime(appendTime(b, d.Start), d.Time), d.Label)
}

// AppendSample appends the payload of a sample record.
func AppendSample(b []byte, s *Sample) []byte {
	b = append(b, byte(SampleRecord))
	b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(s.Dead)), uint64(s.Family))
	b = appendStrings(appendTime(b, s.Created), s.Values)
	return binary.LittleEndian.AppendUint64(b, s.Cell)
}

// AppendAbsorbed appends the payload of an absorbed record.
func AppendAbsorbed(b []byte, ids []Absorbed) []byte {
	b = append(b, byte(AbsorbedRecord))
	for _, a := range ids {
		b = append(b, a.ID[:]...)
		b = appendTime(appendTime(b, a.Start), a.Time)
	}
	return b
}

// AppendOpen appends the payload of an open record: the processes without an absorption at the
// time of writing.
func AppendOpen(b []byte, ids []ID) []byte {
	b = append(b, byte(OpenRecord))
	for _, id := range ids {
		b = append(b, id[:]...)
	}
	return b
}

// AppendBase appends the payload of a base record.
func AppendBase(b []byte, base Base) []byte {
	b = append(append(b, byte(BaseRecord)), base.ID[:]...)
	return appendBool(b, base.Whole)
}

// AppendCounted appends the payload of a counted record.
func AppendCounted(b []byte, c *Counted) []byte {
	b = append(b, byte(CountedRecord))
	b = binary.AppendUvarint(b, uint64(c.Family))
	b = appendStrings(appendTime(b, c.Created), c.Values)
	for _, w := range c.Words {
		b = binary.LittleEndian.AppendUint64(b, w)
	}
	return b
}

// archived takes a record of a kind for archives only.
func (d *decoder) archived(kind RecordKind, r *Record) {
	switch kind {
	case StateRecord:
		r.State = &State{Begun: d.time(), Horizon: d.time(), Last: d.time(), Looked: d.time()}
		for _, n := range r.State.counts() {
			*n = d.uvarint(math.MaxUint64)
		}
	case UptimesRecord:
		r.Uptimes = &Uptimes{Begun: d.time(), Horizon: d.time()}
	case RankRecord:
		r.Rank = &Rank{Family: d.uint32(), Start: d.time(), ID: d.id()}
	case TotalRecord:
		r.Total = d.total()
	case DeadRecord:
		r.Dead = &Dead{Number: d.uint32(), ID: d.id(), Start: d.time(), Time: d.time(), Label: d.string(MaxLabelBytes)}
	case SampleRecord:
		r.Sample = &Sample{Dead: d.uint32(), Family: d.uint32(), Created: d.time(), Values: d.strings(MaxLabelBytes), Cell: d.uint64()}
	case AbsorbedRecord:
		r.Absorbed = make([]Absorbed, 0, len(d.rest)/absorbedBytes)
		for len(d.rest) > 0 {
			r.Absorbed = append(r.Absorbed, Absorbed{ID: d.id(), Start: d.time(), Time: d.time()})
		}
	case NativeRecord:
		r.Native = d.native()
	case OpenRecord:
		r.Open = make([]ID, 0, len(d.rest)/len(ID{}))
		for len(d.rest) > 0 {
			r.Open = append(r.Open, d.id())
		}
	case BaseRecord:
		r.Base = &Base{ID: d.id(), Whole: d.bool()}
	case CountedRecord:
		c := &Counted{Family: d.uint32(), Created: d.time(), Values: d.strings(MaxLabelBytes)}
		for len(d.rest) > 0 && d.err == nil {
			c.Words = append(c.Words, d.uint64())
		}
		r.Counted = c
	default:
		d.fail("unknown kind %d", kind)
	}
}

const absorbedBytes = len(ID{}) + 8 + 8

func (d *decoder) total() *Total {
	t := &Total{Family: d.uint32(), Created: d.time(), Touched: d.time(), Values: d.strings(MaxLabelBytes)}
	t.Hi, t.Lo = d.uvarint(math.MaxUint64), d.uvarint(math.MaxUint64)
	for range d.uvarint(maxSumParts) {
		t.Parts = append(t.Parts, d.float64())
	}
	if n := d.uvarint(MaxBuckets + 1); n > 0 && d.err == nil {
		t.Buckets = make([]uint64, n)
		for i := range t.Buckets {
			t.Buckets[i] = d.uvarint(math.MaxUint64)
		}
	}
	t.Set, t.NaNs = d.uvarint(math.MaxUint64), d.uvarint(math.MaxUint64)
	if t.Set > 0 {
		t.Min, t.Max, t.Recent, t.Time = d.float64(), d.float64(), d.float64(), d.time()
	}
	return t
}

// Validate checks that a total fits its family.
func (t *Total) Validate(f *Family) error {
	if err := f.validateValues(t.Values); err != nil {
		return err
	}
	want := 0
	if f.Type.Bucketed() {
		want = len(f.Bounds) + 1
	}
	if len(t.Buckets) != want {
		return fmt.Errorf("total of %q has %d buckets, want %d: %w", f.Name, len(t.Buckets), want, ErrDamaged)
	}
	for _, p := range t.Parts {
		if math.IsNaN(p) || math.IsInf(p, 0) {
			return fmt.Errorf("total of %q has a part %v: %w", f.Name, p, ErrDamaged)
		}
	}
	if !f.ByMode() && t.Set+t.NaNs > 0 {
		return fmt.Errorf("total of %q is a %v with gauge values: %w", f.Name, f.Type, ErrDamaged)
	}
	if f.Mode.Live() || f.Mode.PerProcess() {
		return fmt.Errorf("total of %q, a gauge of mode %v: %w", f.Name, f.Mode, ErrDamaged)
	}
	return nil
}

// Validate checks that a counted value fits its family.
func (c *Counted) Validate(f *Family) error {
	if f.ByMode() {
		return fmt.Errorf("base of %q, a %v of mode %v: %w", f.Name, f.Type, f.Mode, ErrDamaged)
	}
	if len(c.Words) != f.ValueWords() {
		return fmt.Errorf("base of %q has %d words, want %d: %w", f.Name, len(c.Words), f.ValueWords(), ErrDamaged)
	}
	return f.validateValues(c.Values)
}

// Validate checks that a sample fits its family.
func (s *Sample) Validate(f *Family) error {
	if f.Mode != All {
		return fmt.Errorf("sample of %q, a %v of %v: %w", f.Name, f.Type, f.Mode, ErrDamaged)
	}
	return f.validateValues(s.Values)
}
