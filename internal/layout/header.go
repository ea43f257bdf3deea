package layout

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
)

// Kind is the kind of a file. The numbers are part of the format.
type Kind uint16

// The kinds of files.
const (
	ProcessFile Kind = 0 // the counts of one process
	ArchiveFile Kind = 1 // the counts of dead processes
)

// Header is the header record of a file: the identity of the writer, and the start of the log.
//
//	offset | size | field      | meaning
//	0      | 8    | magic      | "mpmetric"
//	8      | 4    | crc        | CRC-32C of everything from offset 12
//	12     | 2    | version    | format version
//	14     | 2    | kind       | 0 file of a process, 1 archive
//	16     | 8    | order      | as in a slab
//	24     | 4    | pageSize   | of bbolt
//	28     | 4    | pid        | as the owner saw it in its pid namespace
//	32     | 16   | id         | of the process; of an archive: new at each writing
//	48     | 8    | inode      | of the original file, not of a copy; of an archive zero
//	56     | 8    | start      | of the process, Unix nanoseconds; of an archive: time of writing
//	64     | 4    | generation | of the series log; of an archive: the prune epoch
//	68     | 4    | logSlab    | number of the slab where the log begins
//	72     | …    | texts      | boot id, host, program, process: each a uvarint length and bytes
type Header struct {
	Kind       Kind
	PID        uint32
	ID         ID
	Inode      uint64
	Start      int64
	Generation uint32
	LogSlab    uint32
	PageSize   uint32
	BootID     string
	Host       string
	Program    string
	Process    string // value of the label "process"
}

const (
	headerMagicAt      = 0
	headerCRCAt        = headerMagicAt + 8
	headerVersionAt    = headerCRCAt + 4
	headerKindAt       = headerVersionAt + 2
	headerOrderAt      = headerKindAt + 2
	headerPageSizeAt   = headerOrderAt + 8
	headerPIDAt        = headerPageSizeAt + 4
	headerIDAt         = headerPIDAt + 4
	headerInodeAt      = headerIDAt + 16
	headerStartAt      = headerInodeAt + 8
	headerGenerationAt = headerStartAt + 8
	headerLogSlabAt    = headerGenerationAt + 4
	headerTextsAt      = headerLogSlabAt + 4

	// maxHeaderText bounds each text: the header stays inside one page, so that bbolt keeps its
	// bucket inline in the root.
	maxHeaderText = 200
)

var headerMagic = [8]byte{'m', 'p', 'm', 'e', 't', 'r', 'i', 'c'}

// Encode returns the record. Encode cuts texts after 200 bytes, and drops bytes that are not
// UTF-8.
func (h *Header) Encode() []byte {
	b := make([]byte, headerTextsAt, headerTextsAt+128)
	copy(b[headerMagicAt:], headerMagic[:])
	binary.LittleEndian.PutUint16(b[headerVersionAt:], Version)
	binary.LittleEndian.PutUint16(b[headerKindAt:], uint16(h.Kind))
	binary.NativeEndian.PutUint64(b[headerOrderAt:], byteOrder)
	binary.LittleEndian.PutUint32(b[headerPageSizeAt:], h.PageSize)
	binary.LittleEndian.PutUint32(b[headerPIDAt:], h.PID)
	copy(b[headerIDAt:], h.ID[:])
	binary.LittleEndian.PutUint64(b[headerInodeAt:], h.Inode)
	binary.LittleEndian.PutUint64(b[headerStartAt:], uint64(h.Start))
	binary.LittleEndian.PutUint32(b[headerGenerationAt:], h.Generation)
	binary.LittleEndian.PutUint32(b[headerLogSlabAt:], h.LogSlab)
	for _, s := range []string{h.BootID, h.Host, h.Program, h.Process} {
		b = appendString(b, strings.ToValidUTF8(s[:min(len(s), maxHeaderText)], ""))
	}
	binary.LittleEndian.PutUint32(b[headerCRCAt:], checksum(b[headerVersionAt:]))
	return b
}

// DecodeHeader reads a header record and checks each of its rules. Errors wrap
// ErrForeign, ErrVersion, ErrByteOrder or ErrDamaged.
func DecodeHeader(b []byte) (*Header, error) {
	if len(b) < headerTextsAt {
		return nil, fmt.Errorf("header of %d bytes, want at least %d: %w", len(b), headerTextsAt, ErrDamaged)
	}
	if [8]byte(b[headerMagicAt:headerCRCAt]) != headerMagic {
		return nil, fmt.Errorf("header magic %q, want %q: %w", b[headerMagicAt:headerCRCAt], headerMagic[:], ErrForeign)
	}
	if v := binary.LittleEndian.Uint16(b[headerVersionAt:]); v != Version {
		return nil, fmt.Errorf("header version %d, want %d: %w", v, Version, ErrVersion)
	}
	if err := checkOrder(b[headerOrderAt:]); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	got, want := binary.LittleEndian.Uint32(b[headerCRCAt:]), checksum(b[headerVersionAt:])
	if got != want {
		return nil, fmt.Errorf("header checksum %#x, want %#x: %w", got, want, ErrDamaged)
	}
	h := &Header{
		Kind:       Kind(binary.LittleEndian.Uint16(b[headerKindAt:])),
		PID:        binary.LittleEndian.Uint32(b[headerPIDAt:]),
		ID:         ID(b[headerIDAt:headerInodeAt]),
		Inode:      binary.LittleEndian.Uint64(b[headerInodeAt:]),
		Start:      int64(binary.LittleEndian.Uint64(b[headerStartAt:])),
		Generation: binary.LittleEndian.Uint32(b[headerGenerationAt:]),
		LogSlab:    binary.LittleEndian.Uint32(b[headerLogSlabAt:]),
		PageSize:   binary.LittleEndian.Uint32(b[headerPageSizeAt:]),
	}
	switch h.PageSize {
	case PageSize, middlePageSize, largestPageSize:
	default:
		return nil, fmt.Errorf("header page size %d, want %d, %d or %d: %w", h.PageSize, PageSize, middlePageSize, largestPageSize, ErrDamaged)
	}
	if h.Kind > ArchiveFile {
		return nil, fmt.Errorf("header of unknown kind %d: %w", h.Kind, ErrDamaged)
	}
	if h.PID == 0 || h.PID > math.MaxInt32 {
		return nil, fmt.Errorf("header pid %d, want 1 to %d: %w", h.PID, math.MaxInt32, ErrDamaged)
	}
	d := decoder{rest: b[headerTextsAt:]}
	for _, s := range []*string{&h.BootID, &h.Host, &h.Program, &h.Process} {
		*s = d.string(maxHeaderText)
	}
	if err := d.finish(); err != nil {
		return nil, fmt.Errorf("header texts: %w", err)
	}
	return h, nil
}

// FindHeader finds a header record anywhere in b, for the salvage of a file whose pages no longer
// lead to the header. FindHeader returns nil if b has no header.
func FindHeader(b []byte) *Header {
	for {
		at := bytes.Index(b, headerMagic[:])
		if at < 0 {
			return nil
		}
		b = b[at:]
		if h, err := DecodeHeader(b[:headerLength(b)]); err == nil {
			return h
		}
		b = b[1:]
	}
}

// headerLength is the length of the record at the beginning of b, by the lengths in the record.
func headerLength(b []byte) int {
	if len(b) < headerTextsAt {
		return len(b)
	}
	d := decoder{rest: b[headerTextsAt:]}
	for range 4 {
		d.string(maxHeaderText)
	}
	return len(b) - len(d.rest)
}
