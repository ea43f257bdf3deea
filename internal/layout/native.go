package layout

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Schemas of native histograms: each bucket bound is the previous bound times 2^(2^-schema). The
// range of schemas is Prometheus's range of exponential schemas.
const (
	MinSchema int32 = -4
	MaxSchema int32 = 8
)

// Numbers of float64 lie between 2^-1074 and 2^1024.
const (
	minExponent = -1074
	maxExponent = 1024
)

// Native is the part of a native histogram without count and sum.
type Native struct {
	Schema             int32
	Threshold          float64        // of the zero bucket: values up to it, of either sign
	Zero               uint64         // observations in the zero bucket
	Positive, Negative []NativeBucket // by ascending index, not cumulative
}

// NativeBucket is one bucket with observations. The upper bound of the bucket with index i is
// 2^(i·2^-schema), inclusive. A bucket of negative values has the same bounds with the other sign.
type NativeBucket struct {
	Index int32
	Count uint64
}

// Observations is the number of observations in all buckets. The count of the histogram also has
// the observations of NaN.
func (n *Native) Observations() uint64 {
	total := n.Zero
	for _, b := range n.Positive {
		total += b.Count
	}
	for _, b := range n.Negative {
		total += b.Count
	}
	return total
}

// Validate checks the rules that merging relies on.
func (n *Native) Validate() error {
	if n.Schema < MinSchema || n.Schema > MaxSchema {
		return fmt.Errorf("native histogram with schema %d, want %d to %d: %w", n.Schema, MinSchema, MaxSchema, ErrDamaged)
	}
	if !(n.Threshold >= 0) || math.IsInf(n.Threshold, +1) {
		return fmt.Errorf("native histogram with zero threshold %v: %w", n.Threshold, ErrDamaged)
	}
	for _, buckets := range [][]NativeBucket{n.Positive, n.Negative} {
		for i, b := range buckets {
			if i > 0 && b.Index <= buckets[i-1].Index {
				return fmt.Errorf("native bucket %d after %d: %w", b.Index, buckets[i-1].Index, ErrDamaged)
			}
			if first, last := indexes(n.Schema); b.Index < first || b.Index > last {
				return fmt.Errorf("native bucket %d of schema %d is beyond the numbers: %w", b.Index, n.Schema, ErrDamaged)
			}
		}
	}
	return nil
}

// indexes returns the index of the first bucket with a number, and the index after the last such
// bucket: the bucket of infinity.
func indexes(schema int32) (first, last int32) {
	if schema < 0 {
		return minExponent >> -schema, maxExponent>>-schema + 1
	}
	return minExponent << schema, maxExponent<<schema + 1
}

// AppendNative appends the payload of a native record.
func AppendNative(b []byte, n *Native) []byte {
	b = append(b, byte(NativeRecord))
	b = binary.AppendVarint(b, int64(n.Schema))
	b = appendFloat(b, n.Threshold)
	b = binary.AppendUvarint(b, n.Zero)
	for _, buckets := range [][]NativeBucket{n.Positive, n.Negative} {
		b = binary.AppendUvarint(b, uint64(len(buckets)))
		before := int32(0)
		for _, bucket := range buckets {
			b = binary.AppendVarint(b, int64(bucket.Index)-int64(before))
			b = binary.AppendUvarint(b, bucket.Count)
			before = bucket.Index
		}
	}
	return b
}

func (d *decoder) native() *Native {
	n := &Native{Schema: d.int32(), Threshold: d.float64(), Zero: d.uvarint(math.MaxUint64)}
	for _, buckets := range []*[]NativeBucket{&n.Positive, &n.Negative} {
		count := d.uvarint(math.MaxInt32)
		// Each takes two bytes at least: a forged count makes nothing large.
		if d.err == nil && count > uint64(len(d.rest)/2) {
			d.fail("%d native buckets in %d bytes", count, len(d.rest))
		}
		if d.err != nil || count == 0 {
			continue
		}
		*buckets = make([]NativeBucket, count)
		index := int64(0)
		for i := range *buckets {
			index += d.varint()
			if index != int64(int32(index)) {
				d.fail("native bucket %d", index)
			}
			(*buckets)[i] = NativeBucket{Index: int32(index), Count: d.uvarint(math.MaxUint64)}
		}
	}
	return n
}
