package layout

import (
	"encoding/binary"
	"fmt"
	"math"
)

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func appendStrings(b []byte, s []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	for _, v := range s {
		b = appendString(b, v)
	}
	return b
}

func appendTime(b []byte, t int64) []byte { return binary.LittleEndian.AppendUint64(b, uint64(t)) }

func appendFloat(b []byte, v float64) []byte {
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
}

// decoder takes fields from the front of rest. After the first error every
// method returns a zero value, so that callers check once, with finish.
type decoder struct {
	rest []byte
	err  error
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf(format+": %w", append(args, ErrDamaged)...)
		d.rest = nil
	}
}

func (d *decoder) byte() byte {
	if len(d.rest) == 0 {
		d.fail("ends inside a byte field")
		return 0
	}
	b := d.rest[0]
	d.rest = d.rest[1:]
	return b
}

// uvarint takes a number up to limit, in its shortest form: records with different bytes have
// different meanings.
func (d *decoder) uvarint(limit uint64) uint64 {
	if len(d.rest) > 0 && uint64(d.rest[0]) <= min(limit, 0x7f) {
		v := uint64(d.rest[0]) // as most are
		d.rest = d.rest[1:]
		return v
	}
	v, n := binary.Uvarint(d.rest)
	if n <= 0 || n > 1 && d.rest[n-1] == 0 {
		d.fail("bad number")
		return 0
	}
	if v > limit {
		d.fail("number %d above its limit %d", v, limit)
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

// varint takes a number with a sign, in its shortest form.
func (d *decoder) varint() int64 {
	v := d.uvarint(math.MaxUint64)
	return int64(v>>1) ^ -int64(v&1) // zigzag, as binary.AppendVarint writes it
}

func (d *decoder) int32() int32 {
	v := d.varint()
	if v != int64(int32(v)) {
		d.fail("number %d does not fit into 32 bits", v)
	}
	return int32(v)
}

func (d *decoder) uint64() uint64 {
	if len(d.rest) < 8 {
		d.fail("ends inside a field of 8 bytes")
		return 0
	}
	v := binary.LittleEndian.Uint64(d.rest)
	d.rest = d.rest[8:]
	return v
}

func (d *decoder) float64() float64 { return math.Float64frombits(d.uint64()) }

func (d *decoder) uint32() uint32 { return uint32(d.uvarint(math.MaxUint32)) }

func (d *decoder) bool() bool {
	b := d.byte()
	if b > 1 {
		d.fail("%d, want 0 or 1", b)
	}
	return b == 1
}

func (d *decoder) time() int64 { return int64(d.uint64()) }

func (d *decoder) id() (id ID) {
	if len(d.rest) < len(id) {
		d.fail("ends inside an id")
		return ID{}
	}
	copy(id[:], d.rest)
	d.rest = d.rest[len(id):]
	return id
}

func (d *decoder) string(limit uint64) string {
	n := d.uvarint(limit)
	if n > uint64(len(d.rest)) {
		d.fail("text of %d bytes in %d", n, len(d.rest))
		return ""
	}
	s := string(d.rest[:n])
	d.rest = d.rest[n:]
	return s
}

// finish returns the first error, or an error if bytes are left.
func (d *decoder) finish() error {
	if d.err == nil && len(d.rest) > 0 {
		d.fail("%d bytes left over", len(d.rest))
	}
	return d.err
}
