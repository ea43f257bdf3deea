package layout

import (
	"encoding/binary"
	"fmt"
)

// MirrorBucket is the bucket of what collectors that are not ours show. Its keys
// are names of families, and its values
//
//	offset | size | field    | meaning
//	0      | 4    | crc      | CRC-32C of everything from offset 4
//	4      | 1    | mode     | of the family; zero: summed by its type
//	5      | 3    | reserved | zero
//	8      | …    | family   | a MetricFamily of Prometheus's protobuf
//
// bbolt changes them by transactions, one for all families that have changed.
// A file without the bucket has none.
const MirrorBucket = "mirror"

// ExemplarBucket is the bucket of the exemplars of the file's series, mirrored ones
// or not. Keys and values are those of MirrorBucket, with mode zero; of each metric
// stand its labels and its exemplar, or the buckets that have one.
const ExemplarBucket = "exemplars"

// MaxMirrorBytes bounds a mirrored family: that of some ten thousand series, which
// is written anew whenever one of them has changed.
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

// DecodeMirror reads what AppendMirror wrote. family is part of b.
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
