// Package damage damages files like disks, kernels, other programs and attackers do, and bounds
// the cost for readers of such a file. For tests only.
package damage

import (
	"encoding/binary"
	"hash/fnv"
	"math/rand/v2"
	"slices"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// bbolt's page format, as far as the tests damage the format.
const (
	page         = layout.PageSize
	pageFlagsAt  = 8
	pageCountAt  = 10
	overflowAt   = 12
	pageHead     = 16
	element      = 16
	branchFlag   = 0x01
	leafFlag     = 0x02
	freelistFlag = 0x10
	metaBytes    = 64
	metaSumAt    = 56
)

// Class is a kind of damage.
type Class struct {
	Name string
	// Do damages the file of a dead process, in place or not.
	Do func(r *rand.Rand, file []byte) []byte
}

// Classes are all classes. Each gets a copy of a sound file.
var Classes = []Class{
	{"as it was", func(_ *rand.Rand, b []byte) []byte { return b }},
	{"zero length", func(*rand.Rand, []byte) []byte { return nil }},
	{"cut between pages", func(r *rand.Rand, b []byte) []byte { return b[:r.IntN(len(b)/page)*page] }},
	{"cut within a page", func(r *rand.Rand, b []byte) []byte { return b[:r.IntN(len(b))] }},
	{"longer", func(r *rand.Rand, b []byte) []byte { return append(b, noise(r, 1+r.IntN(3*page))...) }},
	{"a page of noise", func(r *rand.Rand, b []byte) []byte {
		copy(b[r.IntN(len(b)/page)*page:], noise(r, page))
		return b
	}},
	{"all noise", func(r *rand.Rand, b []byte) []byte { return noise(r, len(b)) }},
	{"a page of zeros", func(r *rand.Rand, b []byte) []byte {
		at := r.IntN(len(b)/page) * page
		clear(b[at : at+page])
		return b
	}},
	{"all zeros", func(_ *rand.Rand, b []byte) []byte { clear(b); return b }},
	{"two pages swapped", func(r *rand.Rand, b []byte) []byte {
		x, y := r.IntN(len(b)/page)*page, r.IntN(len(b)/page)*page
		first := slices.Clone(b[x : x+page])
		copy(b[x:x+page], b[y:y+page])
		copy(b[y:], first)
		return b
	}},
	{"flip in a meta page", func(r *rand.Rand, b []byte) []byte { return flip(r, b, r.IntN(2)*page, pageHead+metaBytes) }},
	{"flip in both meta pages", func(r *rand.Rand, b []byte) []byte {
		return flip(r, flip(r, b, 0, pageHead+metaBytes), page, pageHead+metaBytes)
	}},
	{"flip in the freelist", inPage(freelistFlag, 0, page)},
	{"flip in the header of a leaf", inPage(leafFlag, 0, pageHead)},
	{"flip in an element of a leaf", inPage(leafFlag, pageHead, 4*element)},
	{"flip in a leaf", inPage(leafFlag, 0, page)},
	{"flip anywhere", func(r *rand.Rand, b []byte) []byte { return flip(r, b, 0, len(b)) }},
	{"many flips", func(r *rand.Rand, b []byte) []byte {
		for range 1 + r.IntN(100) {
			flip(r, b, 0, len(b))
		}
		return b
	}},
	{"flip in the header of a slab", inSlab(0, 0, layout.SlabHeaderBytes)},
	{"flip in the log", inSlab(layout.LogSlab, layout.SlabHeaderBytes, 2000)},
	{"flip in the cells", inSlab(layout.CellSlab, layout.SlabHeaderBytes, 500)},
	{"noise in the log", func(r *rand.Rand, b []byte) []byte {
		at := slab(r, b, layout.LogSlab) + layout.SlabHeaderBytes + 8*r.IntN(200)
		copy(b[at:], noise(r, 200))
		return b
	}},
	{"leaf made a branch", func(r *rand.Rand, b []byte) []byte {
		binary.LittleEndian.PutUint16(b[ofPage(r, b, leafFlag)+pageFlagsAt:], branchFlag)
		return b
	}},
	{"huge count of elements", func(r *rand.Rand, b []byte) []byte {
		binary.LittleEndian.PutUint16(b[ofPage(r, b, leafFlag)+pageCountAt:], uint16(1000+r.IntN(64000)))
		return b
	}},
	{"huge overflow", func(r *rand.Rand, b []byte) []byte {
		binary.LittleEndian.PutUint32(b[ofPage(r, b, leafFlag)+overflowAt:], r.Uint32())
		return b
	}},
	{"huge key or value", func(r *rand.Rand, b []byte) []byte {
		binary.LittleEndian.PutUint32(b[ofPage(r, b, leafFlag)+pageHead+element*r.IntN(3)+4+4*r.IntN(3):], r.Uint32()>>r.IntN(24))
		return b
	}},
	{"cycle of pages", cycle},
	{"forged meta", forgeMeta},
	{"forged records", forgeRecords},
}

func noise(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// flip flips a bit among n bytes.
func flip(r *rand.Rand, b []byte, from, n int) []byte {
	n = min(n, len(b)-from)
	b[from+r.IntN(n)] ^= 1 << r.IntN(8)
	return b
}

// ofPage returns where a page with a flag begins.
func ofPage(r *rand.Rand, b []byte, flag uint16) int {
	var at []int
	for p := 2 * page; p+page <= len(b); p += page {
		if binary.LittleEndian.Uint16(b[p+pageFlagsAt:]) == flag && binary.LittleEndian.Uint64(b[p:]) == uint64(p/page) {
			at = append(at, p)
		}
	}
	if len(at) == 0 {
		return 0
	}
	return at[r.IntN(len(at))]
}

func inPage(flag uint16, from, n int) func(*rand.Rand, []byte) []byte {
	return func(r *rand.Rand, b []byte) []byte { return flip(r, b, ofPage(r, b, flag)+from, n) }
}

// slab returns where a slab of a kind begins, of any kind for 0. An archive has
// no cells.
func slab(r *rand.Rand, b []byte, kind layout.SlabKind) int {
	var at []int
	for p := layout.ValueOffset; p < len(b); p += page {
		if h, err := layout.DecodeSlab(b[p:]); err == nil && (kind == 0 || h.Kind == kind) {
			at = append(at, p)
		}
	}
	if len(at) == 0 {
		return 0
	}
	return at[r.IntN(len(at))]
}

func inSlab(kind layout.SlabKind, from, n int) func(*rand.Rand, []byte) []byte {
	return func(r *rand.Rand, b []byte) []byte { return flip(r, b, slab(r, b, kind)+from, n) }
}

// cycle lets the buckets of the root lead back to pages above the buckets.
func cycle(r *rand.Rand, b []byte) []byte {
	root := binary.LittleEndian.Uint64(b[newestMeta(b)+pageHead+16:])
	at := int(root) * page
	count := int(binary.LittleEndian.Uint16(b[at+pageCountAt:]))
	for i := range count {
		e := at + pageHead + i*element
		value := e + int(binary.LittleEndian.Uint32(b[e+4:])) + int(binary.LittleEndian.Uint32(b[e+8:]))
		if value+8 <= len(b) && r.IntN(2) == 0 {
			binary.LittleEndian.PutUint64(b[value:], root)
		}
	}
	return b
}

func newestMeta(b []byte) int {
	if binary.LittleEndian.Uint64(b[page+pageHead+48:]) > binary.LittleEndian.Uint64(b[pageHead+48:]) {
		return page
	}
	return 0
}

// forgeMeta changes a field of a meta page, with the right checksum.
func forgeMeta(r *rand.Rand, b []byte) []byte {
	meta := b[newestMeta(b)+pageHead:][:metaBytes]
	switch at := []int{8, 12, 16, 24, 32, 40, 48}[r.IntN(7)]; {
	case at == 8:
		binary.LittleEndian.PutUint32(meta[at:], 1<<r.IntN(32))
	case at == 12:
		binary.LittleEndian.PutUint32(meta[at:], r.Uint32())
	default:
		binary.LittleEndian.PutUint64(meta[at:], r.Uint64()>>r.IntN(64))
	}
	sealMeta(meta)
	return b
}

// sealMeta makes the checksum of a meta page right again.
func sealMeta(meta []byte) {
	sum := fnv.New64a()
	sum.Write(meta[:metaSumAt])
	binary.LittleEndian.PutUint64(meta[metaSumAt:], sum.Sum64())
}

// forgeRecords puts records with right checksums into the log.
func forgeRecords(r *rand.Rand, b []byte) []byte {
	at := slab(r, b, layout.LogSlab) + layout.SlabHeaderBytes
	end := at + 4000
	for range r.IntN(8) { // after some of the true records
		n := layout.RecordLength(binary.NativeEndian.Uint64(b[at:]))
		if n == 0 || n == layout.Continued || at+layout.RecordBytes(int(n)) > end-100 {
			break
		}
		at += layout.RecordBytes(int(n))
	}
	for range 1 + r.IntN(8) {
		payload := forgedRecord(r)
		if at+layout.RecordBytes(len(payload))+8 > min(end, len(b)) {
			break
		}
		if r.IntN(20) == 0 {
			binary.NativeEndian.PutUint64(b[at:], layout.ContinueWord(uint32(r.IntN(4))))
			break
		}
		binary.NativeEndian.PutUint64(b[at:], layout.RecordWord(payload))
		copy(b[at+layout.RecordWordBytes:], payload)
		at += layout.RecordBytes(len(payload))
	}
	return b
}

func forgedRecord(r *rand.Rand) []byte {
	number := func() uint32 {
		if r.IntN(2) == 0 {
			return uint32(r.IntN(8))
		}
		return r.Uint32() >> r.IntN(32)
	}
	place := layout.Place{Slab: number(), Word: number()}
	switch r.IntN(9) {
	case 0:
		return layout.AppendFamily(nil, number(), &layout.Family{
			Type: layout.Type(r.IntN(6)), Mode: layout.Mode(r.IntN(14)), Name: []string{"good_total", "other", "", "\xff", "mpmetrics_up"}[r.IntN(5)],
			LabelNames: []string{"a"}[:r.IntN(2)], Bounds: []float64{2, 1}[:r.IntN(3)],
		})
	case 1, 2, 3:
		return layout.AppendSeries(nil, &layout.Series{Number: number(), Family: number(), Place: place, Values: []string{"x"}[:r.IntN(2)]})
	case 4:
		return layout.AppendGone(nil, layout.Gone{Series: number()})
	case 5:
		return layout.AppendTotal(nil, &layout.Total{Family: number(), Values: []string{"x"}})
	case 6:
		return layout.AppendShare(nil, layout.Share{Series: number(), On: r.IntN(2) == 0})
	case 7:
		return layout.AppendAbsorbed(nil, []layout.Absorbed{{ID: layout.NewID()}})
	}
	return noise(r, 1+r.IntN(60))
}
