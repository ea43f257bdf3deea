package foreign

import (
	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// maxMirrorBytes bounds the mirror of one process, families and exemplars apart: well
// below the limit of a reader, which would refuse the whole file beyond its limit.
const maxMirrorBytes = 4 << 20

// Bytes of the encoding, at most. A size has room for numbers to grow: a series never grows out of
// the room that the series was given.
const (
	fieldBytes     = 2  // tag and length of a short field
	longBytes      = 4  // tag and length of a long field
	varintBytes    = 10 // a number
	floatBytes     = 9  // tag and float64
	timestampBytes = 32 // start timestamp, and timestamp
	headBytes      = 64 // of a family: header, tags, type

	// nativeBytes is twice the usual size of a native bucket, because a native histogram gets
	// further buckets.
	nativeBytes = 8
)

// size returns the bytes of name, help and unit of a family.
func (t descText) size() int { return headBytes + len(t.name) + len(t.help) + len(t.unit) }

// sizeOf returns the bytes of the series of a record.
func (r *record) sizeOf() int {
	n := longBytes + labelBytes(r.labels) + fieldBytes + timestampBytes
	switch r.part.kind {
	case dto.MetricType_COUNTER, dto.MetricType_GAUGE, dto.MetricType_UNTYPED:
		return n + floatBytes
	}
	n += 1 + varintBytes + floatBytes + len(r.value.observed.bounds)*(fieldBytes+1+varintBytes+floatBytes)
	if native := r.value.observed.native; native != nil {
		n += floatBytes + 2*varintBytes + 64 + nativeBytes*(len(native.Positive)+len(native.Negative))
	}
	return n
}

func labelBytes(labels []layout.Label) (n int) {
	for _, l := range labels {
		n += 3*fieldBytes + len(l.Name) + len(l.Value)
		if len(l.Value) > 100 {
			n += 2 * fieldBytes
		}
	}
	return n
}
