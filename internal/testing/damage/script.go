package damage

import (
	"encoding/binary"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// Tape is the input of a fuzzer, taken piece by piece. After the end a Tape has zeros: every tape
// has a meaning, and a shorter tape does less.
type Tape []byte

// Bytes takes n bytes.
func (t *Tape) Bytes(n int) []byte {
	b := make([]byte, n)
	*t = (*t)[copy(b, *t):]
	return b
}

// Byte takes a byte.
func (t *Tape) Byte() byte { return t.Bytes(1)[0] }

// Below takes a number from 0 to n−1, for n up to 256.
func (t *Tape) Below(n int) int { return int(t.Byte()) % n }

// The operations of a script that changes a file. Scripts exist because a file is too long for a
// fuzzer, and has checksums that a fuzzer would never hit.
const (
	opWrite  = iota // offset of 3 bytes, length of 1, bytes
	opCut           // offset
	opRecord        // length of 1, payload: a record at the end of the log, with its checksum
	opMeta          // offset of 1, 8 bytes: into the newest meta page, with its checksum
	operations
)

// Write is a script that writes bytes at an offset.
func Write(offset int, b ...byte) []byte {
	return append([]byte{opWrite, byte(offset >> 16), byte(offset >> 8), byte(offset), byte(len(b))}, b...)
}

// Cut is a script that cuts the file at an offset.
func Cut(offset int) []byte {
	return []byte{opCut, byte(offset >> 16), byte(offset >> 8), byte(offset)}
}

// Record is a script that puts a record at the end of the log.
func Record(payload []byte) []byte { return append([]byte{opRecord, byte(len(payload))}, payload...) }

// Meta is a script that puts a number into the newest meta page.
func Meta(offset int, n uint64) []byte {
	return binary.LittleEndian.AppendUint64([]byte{opMeta, byte(offset)}, n)
}

// Perform changes a file by a script, to the end of the script.
func Perform(script Tape, file []byte) []byte {
	offset := func() int {
		b := script.Bytes(3)
		return (int(b[0])<<16 | int(b[1])<<8 | int(b[2])) % max(len(file), 1)
	}
	for len(script) > 0 && len(file) > 3*page {
		switch script.Below(operations) {
		case opWrite:
			at := offset()
			copy(file[at:], script.Bytes(int(script.Byte())))
		case opCut:
			file = file[:offset()]
		case opRecord:
			appendRecord(file, script.Bytes(int(script.Byte())))
		case opMeta:
			meta := file[newestMeta(file)+pageHead:][:metaBytes]
			at := int(script.Byte()) % metaSumAt
			copy(meta[at:metaSumAt], script.Bytes(8))
			sealMeta(meta)
		}
	}
	return file
}

// appendRecord puts a record at the end of a log of one slab.
func appendRecord(file, payload []byte) {
	for p := layout.ValueOffset; p < len(file); p += page {
		h, err := layout.DecodeSlab(file[p:])
		if err != nil || h.Kind != layout.LogSlab {
			continue
		}
		end := min(p+int(h.Bytes), len(file))
		for at := p + layout.SlabHeaderBytes; at+layout.RecordBytes(len(payload))+layout.RecordWordBytes < end; {
			n := layout.RecordLength(binary.NativeEndian.Uint64(file[at:]))
			if n == 0 {
				binary.NativeEndian.PutUint64(file[at:], layout.RecordWord(payload))
				copy(file[at+layout.RecordWordBytes:], payload)
				return
			}
			if int64(n) > int64(end-at) {
				return
			}
			at += layout.RecordBytes(int(n))
		}
	}
}
