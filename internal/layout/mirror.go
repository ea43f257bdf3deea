package layout

import (
	"encoding/binary"
	"fmt"
)

// MirrorBucket is the bucket for families of foreign collectors. Its keys are names of families,
// its values
//
//	offset | size | field    | meaning
//	0      | 4    | crc      | CRC-32C of everything from offset 4
//	4      | 1    | mode     | of the family; zero: summed by its type
//	5      | 3    | reserved | zero
//	8      | …    | family   | a MetricFamily of Prometheus's protobuf
//
// The owner writes all changed families in one bbolt transaction. A file without the bucket has no
// such families.
//
// A cumulative metric with a timestamp is a share: the collector deleted the series, and the count
// is added to the total only while others have the series. The timestamp of a gauge or an untyped
// metric is the time of its value: the families with a mode that needs a time have timestamps.
const MirrorBucket = "mirror"

// ExemplarBucket is the bucket for the exemplars of the file's series, own and mirrored. Keys and
// values are as in MirrorBucket, with mode zero. Each metric has its labels, and its exemplar or
// its buckets with exemplars.
const ExemplarBucket = "exemplars"

// MaxMirrorBytes bounds a mirrored family: some ten thousand series. The owner rewrites the whole
// family at each change of a series.
const MaxMirrorBytes = 1 << 20

const (
	mirrorCRCAt      = 0
	mirrorModeAt     = mirrorCRCAt + 4
	mirrorReservedAt = mirrorModeAt + 1
	mirrorFamilyAt   = mirrorReservedAt + 3
)

// AppendMirror appends the value for a family.
func AppendMirror(b []byte, m Mode, family []byte) []byte {
	at := len(b)
	b = append(b, make([]byte, mirrorFamilyAt)...)
	b[at+mirrorModeAt] = byte(m)
	b = append(b, family...)
	binary.LittleEndian.PutUint32(b[at+mirrorCRCAt:], checksum(b[at+mirrorModeAt:]))
	return b
}

// DecodeMirror reads the value of AppendMirror. family is part of b.
func DecodeMirror(b []byte) (m Mode, family []byte, err error) {
	if len(b) < mirrorFamilyAt || len(b) > mirrorFamilyAt+MaxMirrorBytes {
		return 0, nil, fmt.Errorf("mirrored family of %d bytes, want %d to %d: %w", len(b), mirrorFamilyAt, mirrorFamilyAt+MaxMirrorBytes, ErrDamaged)
	}
	if got, want := binary.LittleEndian.Uint32(b[mirrorCRCAt:]), checksum(b[mirrorModeAt:]); got != want {
		return 0, nil, fmt.Errorf("mirrored family: checksum %#x, want %#x: %w", got, want, ErrDamaged)
	}
	m = Mode(b[mirrorModeAt])
	if m != 0 && !m.Valid() || [3]byte(b[mirrorReservedAt:]) != [3]byte{} {
		return 0, nil, fmt.Errorf("mirrored family: %v, or reserved bytes that are not zero: %w", m, ErrDamaged)
	}
	return m, b[mirrorFamilyAt:], nil
}
