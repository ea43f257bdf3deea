package layout

import (
	"errors"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var blockFamilies = []*Family{
	{Type: Counter, Name: "c_total", LabelNames: []string{"l"}},
	{Type: Gauge, Mode: LiveSum, Name: "g"},
	{Type: Gauge, Mode: MostRecent, Name: "m"},
	{Type: Histogram, Name: "h", Bounds: []float64{1, 2}},
	{Type: Summary, Name: "s"},
}

func blockFamily(number uint32) *Family {
	if int(number) >= len(blockFamilies) {
		return nil
	}
	return blockFamilies[number]
}

func TestBlock(t *testing.T) {
	slots := []*Slot{
		{Family: 0, Created: 7, Values: []string{"a"}},
		nil,
		{Family: 1, Created: 8},
		{Family: 2, Created: 9},
		{Family: 3, Created: 10, Base: []uint64{3, math.Float64bits(2.5), 1, 1, 1}},
		{Family: 4, Created: 11},
		{Family: 0, Created: -1, Values: []string{""}, Base: []uint64{1, 0}},
		{Family: 0, Created: 12, Values: []string{"b"}, Share: true},
		{Family: 4, Created: 13, Base: []uint64{1, 0}, Share: true},
	}
	encoded := AppendSlots(nil, 42, blockFamily, slots)
	version, got, err := DecodeSlots(encoded, blockFamily)
	if err != nil || version != 42 {
		t.Fatalf("version %d, error %v", version, err)
	}
	if diff := cmp.Diff(slots, got); diff != "" {
		t.Error(diff)
	}

	gauge := AppendSlots(nil, 1, blockFamily, []*Slot{{Family: 1, Share: true}})
	if _, _, err := DecodeSlots(gauge, blockFamily); !errors.Is(err, ErrDamaged) {
		t.Errorf("a share of a gauge: %v, want %v", err, ErrDamaged)
	}

	words := []uint64{
		5, math.Float64bits(0.1),
		EncodeGauge(-3),
		2, math.Float64bits(1.5), 99,
		4, math.Float64bits(math.Inf(1)), 1, 2, 1,
		0, 0,
		math.MaxUint64, math.Float64bits(math.NaN()),
		1, 0,
		2, math.Float64bits(3),
	}
	var families []*Family
	values := AppendVersion(nil, 42)
	rest := words
	for _, s := range slots {
		if s == nil {
			families = append(families, nil)
			continue
		}
		f := blockFamilies[s.Family]
		families = append(families, f)
		values = AppendWords(values, f, rest[:f.ValueWords()])
		rest = rest[f.ValueWords():]
	}
	back := make([]uint64, len(words))
	if err := DecodeValues(values, families, back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(words, back); diff != "" {
		t.Error(diff)
	}
	for _, b := range [][]byte{encoded, values} {
		if v, err := VersionOf(b); v != 42 || err != nil {
			t.Errorf("version %d, error %v", v, err)
		}
	}
	if err := DecodeValues(values, families[:1], back); !errors.Is(err, ErrDamaged) {
		t.Errorf("more values than slots: %v", err)
	}
}

// Most values are small or round: they take little room.
func TestBlockIsCompact(t *testing.T) {
	for _, c := range []struct {
		family uint32
		words  []uint64
		want   int
	}{
		{family: 0, words: []uint64{100, 0}, want: 2},
		{family: 0, words: []uint64{1_000_000, math.Float64bits(0.5)}, want: 3 + 2},
		{family: 1, words: []uint64{EncodeGauge(0)}, want: 1},
		{family: 1, words: []uint64{EncodeGauge(17)}, want: 3},
		{family: 3, words: []uint64{3, math.Float64bits(2), 1, 1, 1}, want: 5},
	} {
		if got := len(AppendWords(nil, blockFamilies[c.family], c.words)); got != c.want {
			t.Errorf("%v %v: got %d bytes, want %d", blockFamilies[c.family].Type, c.words, got, c.want)
		}
	}
}

func TestBlockDamaged(t *testing.T) {
	slots := []*Slot{{Family: 0, Values: []string{"a"}, Base: []uint64{1, 2}}, {Family: 1}}
	sound := AppendSlots(nil, 1, blockFamily, slots)
	for name, b := range map[string][]byte{
		"empty":          {},
		"unknown kind":   {1, 3},
		"unknown family": AppendSlots(nil, 1, func(uint32) *Family { return nil }, []*Slot{{Family: 99}}),
		"label values":   AppendSlots(nil, 1, blockFamily, []*Slot{{Family: 1, Values: []string{"a"}}}),
		"not UTF-8":      AppendSlots(nil, 1, blockFamily, []*Slot{{Family: 0, Values: []string{"\xff"}}}),
		"too many slots": AppendSlots(nil, 1, blockFamily, make([]*Slot, BlockSlots+1)),
	} {
		if _, slots, err := DecodeSlots(b, blockFamily); !errors.Is(err, ErrDamaged) || slots != nil {
			t.Errorf("%s: slots %v, error %v", name, slots, err)
		}
	}
	for n := range len(sound) - 1 {
		// Cut between two slots it is a shorter block, which is sound.
		if _, _, err := DecodeSlots(sound[:n], blockFamily); err != nil && !errors.Is(err, ErrDamaged) {
			t.Errorf("%d bytes of %d: %v", n, len(sound), err)
		}
	}
	if _, err := VersionOf(nil); !errors.Is(err, ErrDamaged) {
		t.Errorf("version of nothing: %v", err)
	}
}

func FuzzBlock(f *testing.F) {
	f.Add(AppendSlots(nil, 1, blockFamily, []*Slot{{Family: 0, Values: []string{"a"}, Base: []uint64{1, 2}}, nil, {Family: 3}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		version, slots, err := DecodeSlots(b, blockFamily)
		if err != nil {
			return
		}
		if again := AppendSlots(nil, version, blockFamily, slots); string(again) != string(b) {
			t.Errorf("%x became %x", b, again)
		}
	})
}
