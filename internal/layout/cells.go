package layout

import "math"

// Cells of a counter:
//
//	word 0  integer part: the sum of the increments by whole numbers
//	word 1  float part: float64 bits of the sum of all other increments
//
// Cells of a gauge whose mode is not Timed:
//
//	word 0  the value, encoded by EncodeGauge; zero means never set
//
// Cells of a histogram or summary, and of a Timed gauge, are a commit group:
//
//	word 0    commit word: commits in the high bits, index of the last bucket in the low
//	histogram: word 1, 2 the sums, word 3 and on the buckets, +Inf last
//	summary:   word 1, 2 the sums
//	Timed:     word 1, 2 the values, word 3, 4 their times in Unix nanoseconds
//
// The owner holds a lock on its own heap, invisible to other processes:
//
//  1. The owner writes the next sum (value, time) into the slot that the commit word does not name.
//  2. The owner stores the commit word with one commit more: here the observation happens.
//  3. The owner adds one to the bucket.
//
// The parity of the commits names the slot in force. A reader loads the commit word, the buckets,
// the slot in force, and the commit word again. If both commit words are equal, the buckets hold
// all commits, or all but the last commit. In the second case the reader adds one to the bucket of
// the commit word. After a kill at any instruction the state is exact, and count, sum and buckets
// are of one instant.
const (
	CounterWords = 2
	GaugeWords   = 1
	SummaryWords = 3
	TimedWords   = 5

	histogramHeadWords = 3

	// commitIndexBits leaves 52 bits for the commits. A process with an observation each 10 ns and
	// no other work needs 520 days to use them up.
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

// CellWords is the number of cells of a series of the family.
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

// ByMode reports whether a value of the family is one number, like the value of a gauge, and
// merged by the family's mode.
func (f *Family) ByMode() bool { return f.Mode.Valid() }

// ValueWords is the number of words of a value of the family, after a reader has taken the value
// out of the cells:
//
//	counter          integer part, float part
//	gauge            the cell, unchanged
//	gauge, Timed     commits, value, time
//	histogram        count, sum, buckets with +Inf last, not cumulative; the native
//	                 buckets of a native histogram are in a Native
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

// CellAlignment is the alignment, in words, of a run of so many cells. A small run does not
// straddle cache lines. A larger run shares its lines with no other run, so that two histograms
// never contend for a line.
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

// Commits returns the number of observations in a commit word.
func Commits(word uint64) uint64 { return word >> commitIndexBits }

// CommitIndex returns the bucket of the last observation.
func CommitIndex(word uint64) int { return int(word & (1<<commitIndexBits - 1)) }

// CommitSlot returns the slot in force: 0 or 1.
func CommitSlot(word uint64) int { return int(word >> commitIndexBits & 1) }

// Patterns of a gauge's cell that encode no value. Each pattern would decode to a NaN with its own
// payload, and EncodeGauge writes a single NaN.
const (
	// GaugeNeverSet is the cell of a gauge before the first Set: slabs are zero-filled.
	GaugeNeverSet uint64 = 0

	gaugeMask     = 0x7ff8_6d70_6d00_0001
	canonicalNaN  = 0x7ff8_0000_0000_0001
	reservedFirst = 0x7ff8_6d70_6d00_0002
)

// GaugeMoved marks the cell of a series that has moved, in a file removed during use. GaugePending
// is reserved: earlier versions marked the next cell with it. A reader sees no value.
const (
	GaugeMoved   uint64 = reservedFirst ^ gaugeMask
	GaugePending uint64 = (reservedFirst + 1) ^ gaugeMask
)

// EncodeGauge returns the cell of a gauge with value v. The cell is never zero, so that a gauge
// set to 0 differs from a gauge never set.
func EncodeGauge(v float64) uint64 {
	if v != v {
		return canonicalNaN ^ gaugeMask
	}
	return math.Float64bits(v) ^ gaugeMask
}

// DecodeGauge returns the value of a gauge's cell, and whether the gauge was set.
func DecodeGauge(word uint64) (v float64, set bool) {
	switch word {
	case GaugeNeverSet, GaugeMoved, GaugePending:
		return 0, false
	}
	return math.Float64frombits(word ^ gaugeMask), true
}
