package layout

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"strings"
)

// SlabKind is the content of a slab.
type SlabKind uint8

// The kinds of slabs.
const (
	LogSlab  SlabKind = 1
	CellSlab SlabKind = 2
)

func (k SlabKind) String() string {
	switch k {
	case LogSlab:
		return "log"
	case CellSlab:
		return "cells"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Offsets of the fields of a slab header, as drawn in layout.go.
const (
	slabMagicAt      = 0
	slabCRCAt        = slabMagicAt + 8
	slabVersionAt    = slabCRCAt + 4
	slabKindAt       = slabVersionAt + 2
	slabPadAt        = slabKindAt + 1
	slabNumberAt     = slabPadAt + 1
	slabGenerationAt = slabNumberAt + 4
	slabBytesAt      = slabGenerationAt + 4
	slabOrderAt      = slabBytesAt + 8
	slabReservedAt   = slabOrderAt + 8

	// SlabHeaderBytes is one cache line, so that the body starts at a cache line too.
	SlabHeaderBytes = slabReservedAt + 24
)

var slabMagic = [8]byte{'m', 'p', 'm', 's', 'l', 'a', 'b', 0}

// byteOrder is written natively and read natively: its bytes differ on a machine with another byte
// order.
const byteOrder = 0x0102030405060708

// checkOrder compares the mark at the beginning of b with the mark of this machine.
func checkOrder(b []byte) error {
	order := binary.NativeEndian.Uint64(b)
	switch {
	case order == byteOrder:
		return nil
	case bits.ReverseBytes64(order) == byteOrder:
		return fmt.Errorf("byte order %#x: %w", order, ErrByteOrder)
	}
	return fmt.Errorf("byte order %#x, want %#x: %w", order, uint64(byteOrder), ErrDamaged)
}

// SlabHeader describes one slab.
type SlabHeader struct {
	Kind       SlabKind
	Number     uint32
	Generation uint32 // of the log; zero for cells
	Bytes      uint64 // of the whole slab
}

// SlabBytes is the length of a slab of so many pages.
func SlabBytes(pages int) int { return pages*PageSize - ValueOffset }

// SlabPages is the least number of pages whose slab has a body of so many bytes.
func SlabPages(body int) int {
	return (body + SlabHeaderBytes + ValueOffset + PageSize - 1) / PageSize
}

// EncodeSlab makes the value of a new slab: its header and a body of zeros.
func EncodeSlab(h SlabHeader) []byte {
	b := make([]byte, h.Bytes)
	copy(b[slabMagicAt:], slabMagic[:])
	binary.LittleEndian.PutUint16(b[slabVersionAt:], Version)
	b[slabKindAt] = byte(h.Kind)
	binary.LittleEndian.PutUint32(b[slabNumberAt:], h.Number)
	binary.LittleEndian.PutUint32(b[slabGenerationAt:], h.Generation)
	binary.LittleEndian.PutUint64(b[slabBytesAt:], h.Bytes)
	binary.NativeEndian.PutUint64(b[slabOrderAt:], byteOrder)
	binary.LittleEndian.PutUint32(b[slabCRCAt:], checksum(b[slabVersionAt:SlabHeaderBytes]))
	return b
}

// DecodeSlab reads the header at the beginning of a slab and checks each of
// its rules. Errors wrap ErrForeign, ErrVersion, ErrByteOrder or ErrDamaged.
func DecodeSlab(b []byte) (SlabHeader, error) {
	if len(b) < SlabHeaderBytes {
		return SlabHeader{}, fmt.Errorf("slab of %d bytes, header needs %d: %w", len(b), SlabHeaderBytes, ErrDamaged)
	}
	if [8]byte(b[slabMagicAt:slabCRCAt]) != slabMagic {
		return SlabHeader{}, fmt.Errorf("slab magic %q, want %q: %w", b[slabMagicAt:slabCRCAt], slabMagic[:], ErrForeign)
	}
	// The version stands before the checksum is tried: a later version may
	// well check something else.
	if v := binary.LittleEndian.Uint16(b[slabVersionAt:]); v != Version {
		return SlabHeader{}, fmt.Errorf("slab version %d, want %d: %w", v, Version, ErrVersion)
	}
	if err := checkOrder(b[slabOrderAt:]); err != nil {
		return SlabHeader{}, fmt.Errorf("slab: %w", err)
	}
	got, want := binary.LittleEndian.Uint32(b[slabCRCAt:]), checksum(b[slabVersionAt:SlabHeaderBytes])
	if got != want {
		return SlabHeader{}, fmt.Errorf("slab checksum %#x, want %#x: %w", got, want, ErrDamaged)
	}
	h := SlabHeader{
		Kind:       SlabKind(b[slabKindAt]),
		Number:     binary.LittleEndian.Uint32(b[slabNumberAt:]),
		Generation: binary.LittleEndian.Uint32(b[slabGenerationAt:]),
		Bytes:      binary.LittleEndian.Uint64(b[slabBytesAt:]),
	}
	return h, h.validate(b)
}

func (h SlabHeader) validate(b []byte) error {
	if h.Kind != LogSlab && h.Kind != CellSlab {
		return fmt.Errorf("slab %d of unknown %v: %w", h.Number, h.Kind, ErrDamaged)
	}
	if h.Kind == CellSlab && h.Generation != 0 {
		return fmt.Errorf("slab %d of cells has generation %d, want 0: %w", h.Number, h.Generation, ErrDamaged)
	}
	if h.Bytes%PageSize != PageSize-ValueOffset || h.Bytes > uint64(SlabBytes(MaxSlabPages)) {
		return fmt.Errorf("slab %d has %d bytes, want 4096·n − %d up to n = %d: %w", h.Number, h.Bytes, ValueOffset, MaxSlabPages, ErrDamaged)
	}
	if b[slabPadAt] != 0 || [24]byte(b[slabReservedAt:SlabHeaderBytes]) != [24]byte{} {
		return fmt.Errorf("slab %d has reserved bytes that are not zero: %w", h.Number, ErrDamaged)
	}
	return nil
}

// SlabBucket is the name of the bucket of a slab. Big-endian, so that bbolt
// keeps slabs in order of their numbers.
func SlabBucket(number uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte(slabBucketPrefix), number)
}

// ParseSlabBucket reads a name in the form of SlabBucket.
func ParseSlabBucket(name []byte) (number uint32, ok bool) {
	rest, ok := strings.CutPrefix(string(name), slabBucketPrefix)
	if !ok || len(rest) != 4 {
		return 0, false
	}
	return binary.BigEndian.Uint32([]byte(rest)), true
}
