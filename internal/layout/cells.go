package layout

import "math"

// Cells of a counter:
//
//	word 0  integer part: the sum of the increments that were whole numbers
//	word 1  float part: float64 bits of the sum of the others
//
// Cells of a gauge whose mode is not Timed:
//
//	word 0  the value, encoded by EncodeGauge; zero means never set
//
// Cells of a histogram or summary, and of a Timed gauge, are a commit group:
//
//	word 0    commit word: commits in the high bits, index of the last bucket in the low
//	histogram: word 1, 2 the sums, word 3 and on the buckets, that of +Inf last
//	summary:   word 1, 2 the sums
//	Timed:     word 1, 2 the values, word 3, 4 their times in Unix nanoseconds
//
// The owner, under a lock on its heap that no other process sees,
//
//  1. writes the next sum (value, time) into the slot that the commit word does not name,
//  2. stores the commit word with one commit more: here the observation happens,
//  3. adds one to the bucket.
//
// The slot in force is that of the parity of the commits. A reader takes the
// commit word, the buckets, the slot in force, and the commit word again; when
// the two are equal, the buckets hold all commits, or all but one and the
// bucket named in the word is due one more. Killed at any instruction the state
// is exact, and count, sum and buckets are of one instant.
const (
	CounterWords = 2
	GaugeWords   = 1
	SummaryWords = 3
	TimedWords   = 5

	histogramHeadWords = 3

	// commitIndexBits leaves 52 bits for the commits: at one observation each
	// 10 ns they last 520 days of nothing else, in one process.
	commitIndexBits = 12
)

// Offsets into a commit group.
const (
	CommitWord = 0
	SlotWord   = 1 // first of the two sums or values
	BucketWord = histogramHeadWords
	TimeWord   = 3 // first of the two times
)

// HistogramWords is the number of cells of a histogram with so many finite bounds.
func HistogramWords(bounds int) int { return histogramHeadWords + bounds + 1 }

// CellWords is the number of cells that a series of the family owns.
func (f *Family) CellWords() int {
	switch {
	case f.Mode.Timed():
		return TimedWords
	case f.ByMode():
		return GaugeWords
	case f.Type.Bucketed():
		return HistogramWords(len(f.Bounds))
	case f.Type == Summary:
		return SummaryWords
	}
	return CounterWords
}

// ByMode reports whether a value of the family is one number, as that of a gauge
// is, and merged by the family's mode.
func (f *Family) ByMode() bool { return f.Mode.Valid() }

// ValueWords is the number of words that the value of a series of the family
// takes once it is read out of its cells:
//
//	counter          integer part, float part
//	gauge            the cell as it is
//	gauge, Timed     commits, value, time
//	histogram        count, sum, buckets with that of +Inf last, not cumulative; a
//	                 native histogram has its other buckets in a Native
//	summary          count, sum
func (f *Family) ValueWords() int {
	switch {
	case f.Mode.Timed():
		return 3
	case f.ByMode():
		return 1
	case f.Type.Bucketed():
		return 2 + len(f.Bounds) + 1
	}
	return 2
}

// CellAlignment is the multiple of words at which a run of so many cells
// starts: a small run does not straddle cache lines, and a larger one has its
// lines for itself, so that two histograms never share one.
func CellAlignment(words int) int {
	switch {
	case words <= 2:
		return words
	case words <= 4:
		return 4
	}
	return 8
}

// Commit packs a commit word.
func Commit(commits uint64, index int) uint64 {
	return commits<<commitIndexBits | uint64(index)
}

// Commits returns the number of observations that a commit word counts.
func Commits(word uint64) uint64 { return word >> commitIndexBits }

// CommitIndex returns the bucket of the last observation.
func CommitIndex(word uint64) int { return int(word & (1<<commitIndexBits - 1)) }

// CommitSlot returns which of the two slots is in force: 0 or 1.
func CommitSlot(word uint64) int { return int(word >> commitIndexBits & 1) }

// Patterns of a gauge's cell that no value is encoded as. Each would decode to
// a NaN with a payload of its own, and EncodeGauge writes only one NaN.
const (
	// GaugeNeverSet is what a cell holds that nobody set: slabs are zero-filled.
	GaugeNeverSet uint64 = 0

	gaugeMask     = 0x7ff8_6d70_6d00_0001
	canonicalNaN  = 0x7ff8_0000_0000_0001
	reservedFirst = 0x7ff8_6d70_6d00_0002
)

// GaugeMoved and GaugePending mark a cell while a series moves: on the heap of its
// owner, or in a file that was removed under it. For a reader they are no values.
const (
	GaugeMoved   uint64 = reservedFirst ^ gaugeMask
	GaugePending uint64 = (reservedFirst + 1) ^ gaugeMask
)

// EncodeGauge returns what the cell of a gauge holds for v: never zero, so
// that a gauge set to 0 differs from one that was never set.
func EncodeGauge(v float64) uint64 {
	if v != v {
		return canonicalNaN ^ gaugeMask
	}
	return math.Float64bits(v) ^ gaugeMask
}

// DecodeGauge returns the value of a gauge's cell, and whether it has one.
func DecodeGauge(word uint64) (v float64, set bool) {
	switch word {
	case GaugeNeverSet, GaugeMoved, GaugePending:
		return 0, false
	}
	return math.Float64frombits(word ^ gaugeMask), true
}
