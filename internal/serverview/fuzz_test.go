package serverview

import (
	"testing"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/remote"
)

// hashes cuts bytes into the three hashes of a partition: a byte says which, then come
// field and content, each with its length in front.
func hashes(data []byte) *partition {
	p := &partition{name: "fuzz", header: &layout.Header{}, families: map[string]string{}, series: map[string]string{}, values: map[string]string{}}
	text := func() string {
		if len(data) == 0 {
			return ""
		}
		n := min(int(data[0]), len(data)-1)
		s := string(data[1 : 1+n])
		data = data[1+n:]
		return s
	}
	for len(data) > 0 {
		hash := []map[string]string{p.families, p.series, p.values}[data[0]%3]
		data = data[1:]
		field := text()
		hash[field] = text()
	}
	return p
}

// appendField is the other way round.
func appendField(data []byte, hash byte, field, content string) []byte {
	data = append(append(data, hash, byte(len(field))), field...)
	return append(append(data, byte(len(content))), content...)
}

// FuzzView: whatever a partition holds, reading it ends, with an error or with values for
// all entries; and so does reading what another one holds on top of it.
func FuzzView(f *testing.F) {
	counter := &layout.Family{Type: layout.Counter, Name: "c_total", Help: "h", LabelNames: []string{"l"}}
	histogram := &layout.Family{Type: layout.Histogram, Name: "h", Help: "h", Bounds: []float64{1}}
	families := []*layout.Family{counter, histogram}
	numbered := func(n uint32) *layout.Family { return families[n] }
	var seed []byte
	for n, family := range families {
		seed = appendField(seed, 0, remote.Number(n), string(layout.AppendFamily(nil, uint32(n), family)))
	}
	seed = appendField(seed, 1, "0", string(layout.AppendSlots(nil, 7, numbered, []*layout.Slot{
		{Family: 0, Created: 1, Values: []string{"x"}, Base: []uint64{1, 0}}, nil, {Family: 1, Created: 1, Base: []uint64{1, 0, 1, 0}},
	})))
	words := layout.AppendWords(layout.AppendVersion(nil, 7), counter, []uint64{3, 0})
	seed = appendField(seed, 2, "0", string(layout.AppendWords(words, histogram, []uint64{2, 0, 1, 1})))
	f.Add(seed, seed)
	f.Add([]byte{}, seed)
	f.Add(seed, appendField(seed, 2, remote.MirrorField+"m", "x"))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		p := hashes(first)
		v := newView(p)
		for range 2 {
			if err := v.Refresh(); err == nil {
				if values, err := v.Load(); err == nil {
					for _, e := range v.Entries() {
						if n := v.Families()[e.Family].ValueWords(); e.At+n > len(values) {
							t.Fatalf("entry at %d of %d words, there are %d", e.At, n, len(values))
						}
					}
				}
			}
			_ = Absolute(&remote.Content{Families: p.families, Series: p.series, Values: p.values})
			next := hashes(second)
			p.families, p.series, p.values = next.families, next.series, next.values
			p.changes++
		}
	})
}
