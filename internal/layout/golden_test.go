package layout

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A golden file is never written again for a format version that was released:
// a difference means that old files are not read as they were meant.
var update = flag.Bool("update", false, "write the golden files of a new format version")

func goldenHeader() *Header {
	return &Header{
		PID: 4711, ID: ID{0: 1, 15: 0xff}, Inode: 1 << 40, Start: 1_795_000_000_000_000_000,
		Generation: 3, LogSlab: 7, PageSize: PageSize, BootID: "boot", Host: "host", Program: "shop", Process: "worker-1",
	}
}

func goldenSlab() SlabHeader {
	return SlabHeader{Kind: LogSlab, Number: 7, Generation: 3, Bytes: uint64(SlabBytes(2))}
}

func goldenFamily() *Family {
	return &Family{
		Type: Histogram, Name: "request_duration_seconds", Help: "Time of a request.\nBy code.", Unit: "seconds",
		LabelNames: []string{"code", "method"}, ConstLabels: []Label{{"zone", "a"}}, Bounds: []float64{0.1, 0.5, 1, 10},
	}
}

func goldenSeries() *Series {
	return &Series{Number: 300, Family: 2, Place: Place{Slab: 1, Word: 1000}, Created: 1_795_000_000_000_000_001, Values: []string{"200", "größe"}}
}

func goldenTotal() *Total {
	return &Total{
		Family: 2, Created: 1_795_000_000_000_000_001, Touched: 1_795_000_000_000_000_002, Values: []string{"200", "größe"},
		Sums: Sums{Hi: 1, Lo: 300, Parts: []float64{0x1p-55, 0x1p52}, Buckets: []uint64{1, 0, 300, 0, 2}},
	}
}

func goldenNative() *Native {
	return &Native{
		Schema: -1, Threshold: 0x1p-128, Zero: 3,
		Positive: []NativeBucket{{Index: -5, Count: 1}, {Index: 300, Count: 1 << 40}}, Negative: []NativeBucket{{Index: 0, Count: 2}},
	}
}

func goldenGaugeTotal() *Total {
	return &Total{Sums: Sums{Set: 3, NaNs: 1, Min: -1, Max: 2, Recent: 0.5, Time: 1_795_000_000_000_000_003}}
}

func goldenSample() *Sample {
	return &Sample{Dead: 1, Family: 2, Created: 3, Values: []string{"a"}, Cell: EncodeGauge(7)}
}

// goldens are encodings that must never change within Version 1. They are those
// of a little-endian machine.
var goldens = []struct {
	name   string
	encode func() []byte
}{
	{"header", func() []byte { return goldenHeader().Encode() }},
	{"slab", func() []byte { return EncodeSlab(goldenSlab())[:SlabHeaderBytes] }},
	{"family", func() []byte { return AppendFamily(nil, 2, goldenFamily()) }},
	{"gauge", func() []byte {
		return AppendFamily(nil, 0, &Family{Type: Gauge, Mode: LiveMean, Name: "ratio", Help: "A ratio."})
	}},
	{"series", func() []byte { return AppendSeries(nil, goldenSeries()) }},
	{"archive-header", func() []byte {
		h := goldenHeader()
		h.Kind, h.Inode = ArchiveFile, 0
		return h.Encode()
	}},
	{"state", func() []byte {
		return AppendState(nil, &State{Begun: 1, Horizon: 2, Last: 3, Looked: 4, Absorbed: 5, Quarantined: 6, Forgotten: 7, Unabsorbed: 8, Aside: 9})
	}},
	{"uptimes", func() []byte { return AppendUptimes(nil, Uptimes{Begun: 1, Horizon: 1 << 40}) }},
	{"rank", func() []byte { return AppendRank(nil, &Rank{Family: 2, Start: -1, ID: ID{0: 1, 15: 0xff}}) }},
	{"total", func() []byte { return AppendTotal(nil, goldenTotal()) }},
	{"total-gauge", func() []byte { return AppendTotal(nil, goldenGaugeTotal()) }},
	{"native", func() []byte { return AppendNative(nil, goldenNative()) }},
	{"dead", func() []byte {
		return AppendDead(nil, &Dead{Number: 1, ID: ID{0: 1, 15: 0xff}, Start: 2, Time: 3, Label: "worker-1"})
	}},
	{"sample", func() []byte { return AppendSample(nil, goldenSample()) }},
	{"absorbed", func() []byte {
		return AppendAbsorbed(nil, []Absorbed{{ID: ID{1}, Start: 1, Time: 2}, {ID: ID{2}, Start: 3, Time: 4}})
	}},
	{"open", func() []byte { return AppendOpen(nil, []ID{{1}, {2}}) }},
	{"base", func() []byte { return AppendBase(nil, Base{ID: ID{0: 1, 15: 0xff}, Whole: true}) }},
	{"counted", func() []byte {
		return AppendCounted(nil, &Counted{Family: 2, Created: 3, Values: []string{"a"}, Words: []uint64{7, 1 << 63}})
	}},
	{"share", func() []byte { return AppendShare(nil, Share{Series: 300, On: true}) }},
	{"gone", func() []byte { return AppendGone(nil, Gone{Series: 300, Time: 1_795_000_000_000_000_002}) }},
}

func TestGolden(t *testing.T) {
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("the golden files are those of a little-endian machine")
	}
	for _, g := range goldens {
		t.Run(g.name, func(t *testing.T) {
			path := filepath.Join("testdata", "v1-"+g.name+".golden")
			got := g.encode()
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("encoding changed:\ngot  %x\nwant %x", got, want)
			}
		})
	}
}

func TestHeaderRoundTrip(t *testing.T) {
	want := goldenHeader()
	got, err := DecodeHeader(want.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("header (-got +want):\n%s", diff)
	}
}

func TestHeaderCutsTexts(t *testing.T) {
	h := goldenHeader()
	h.Program = strings.Repeat("p", 1000)
	got, err := DecodeHeader(h.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Repeat("p", maxHeaderText); got.Program != want {
		t.Errorf("program of %d bytes, want %d", len(got.Program), len(want))
	}
}

func TestSlabRoundTrip(t *testing.T) {
	want := goldenSlab()
	got, err := DecodeSlab(EncodeSlab(want))
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// flipped is what a reader must say of an encoding with one byte changed.
func flipped(at int, magic, version [2]int) error {
	switch {
	case at >= magic[0] && at < magic[1]:
		return ErrForeign
	case at >= version[0] && at < version[1]:
		return ErrVersion
	}
	return ErrDamaged
}

func TestEveryFlippedByteIsFound(t *testing.T) {
	header, slab := goldenHeader().Encode(), EncodeSlab(goldenSlab())[:SlabHeaderBytes]
	for at := range header {
		b := slices.Clone(header)
		b[at] ^= 0x40
		want := flipped(at, [2]int{headerMagicAt, headerCRCAt}, [2]int{headerVersionAt, headerKindAt})
		if h, err := DecodeHeader(b); !errors.Is(err, want) || h != nil {
			t.Errorf("header byte %d flipped: %v, %v, want nil and %v", at, h, err, want)
		}
	}
	for at := range slab {
		b := slices.Clone(slab)
		b[at] ^= 0x40
		want := flipped(at, [2]int{slabMagicAt, slabCRCAt}, [2]int{slabVersionAt, slabKindAt})
		if _, err := DecodeSlab(b); !errors.Is(err, want) {
			t.Errorf("slab byte %d flipped: %v, want %v", at, err, want)
		}
	}
}

// reseal makes the checksum right again after a change: the rules behind it
// have to hold on their own.
func reseal(b []byte, crcAt, from int) []byte {
	binary.LittleEndian.PutUint32(b[crcAt:], checksum(b[from:]))
	return b
}

func TestRulesBehindTheChecksum(t *testing.T) {
	header := func(change func([]byte)) []byte {
		b := goldenHeader().Encode()
		change(b)
		return reseal(b, headerCRCAt, headerVersionAt)
	}
	slab := func(change func([]byte)) []byte {
		b := EncodeSlab(goldenSlab())[:SlabHeaderBytes]
		change(b)
		return reseal(b, slabCRCAt, slabVersionAt)
	}
	mirror := func(at int) func([]byte) { return func(b []byte) { slices.Reverse(b[at : at+8]) } }
	tests := []struct {
		name   string
		slab   bool
		bytes  []byte
		want   error
		saying string
	}{
		{name: "header of another byte order", slab: false, bytes: header(mirror(headerOrderAt)), want: ErrByteOrder, saying: "byte order"},
		{
			name:   "header of another page size",
			slab:   false,
			bytes:  header(func(b []byte) { b[headerPageSizeAt+1] = 0x20 }),
			want:   ErrDamaged,
			saying: "page size",
		},
		{
			name:   "header of no page size",
			slab:   false,
			bytes:  header(func(b []byte) { b[headerPageSizeAt+1] = 0 }),
			want:   ErrDamaged,
			saying: "page size 0",
		},
		{name: "header of unknown kind", slab: false, bytes: header(func(b []byte) { b[headerKindAt] = 2 }), want: ErrDamaged, saying: "kind 2"},
		{
			name:   "header without pid",
			slab:   false,
			bytes:  header(func(b []byte) { clear(b[headerPIDAt:headerIDAt]) }),
			want:   ErrDamaged,
			saying: "pid",
		},
		{name: "header with a long text", slab: false, bytes: header(func(b []byte) { b[headerTextsAt] = 100 }), want: ErrDamaged, saying: "texts"},
		{name: "header cut short", slab: false, bytes: goldenHeader().Encode()[:headerTextsAt-1], want: ErrDamaged, saying: "want at least"},
		{name: "slab of another byte order", slab: true, bytes: slab(mirror(slabOrderAt)), want: ErrByteOrder, saying: "byte order"},
		{name: "slab of unknown kind", slab: true, bytes: slab(func(b []byte) { b[slabKindAt] = 9 }), want: ErrDamaged, saying: "kind 9"},
		{
			name:   "cells with a generation",
			slab:   true,
			bytes:  slab(func(b []byte) { b[slabKindAt] = byte(CellSlab) }),
			want:   ErrDamaged,
			saying: "generation",
		},
		{name: "slab of odd length", slab: true, bytes: slab(func(b []byte) { b[slabBytesAt]++ }), want: ErrDamaged, saying: "bytes"},
		{name: "slab that is too long", slab: true, bytes: slab(func(b []byte) { b[slabBytesAt+5] = 1 }), want: ErrDamaged, saying: "bytes"},
		{name: "slab with reserved bytes", slab: true, bytes: slab(func(b []byte) { b[slabReservedAt+3] = 1 }), want: ErrDamaged, saying: "reserved"},
		{name: "slab with a pad", slab: true, bytes: slab(func(b []byte) { b[slabPadAt] = 1 }), want: ErrDamaged, saying: "reserved"},
		{name: "slab cut short", slab: true, bytes: EncodeSlab(goldenSlab())[:SlabHeaderBytes-1], want: ErrDamaged, saying: "header needs"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var err error
			if test.slab {
				_, err = DecodeSlab(test.bytes)
			} else {
				_, err = DecodeHeader(test.bytes)
			}
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.saying) {
				t.Errorf("got %v, want %v that says %q", err, test.want, test.saying)
			}
		})
	}
}
