package merge

import (
	"math"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// What several goroutines add up is what one does, bit for bit: also when processes have
// their series in different orders, and when some are gone.
func TestAddAll(t *testing.T) {
	defer func(n int) { manyValues = n }(manyValues)
	manyValues = 1
	families := []*layout.Family{
		{Type: layout.Counter, Name: "c_total", LabelNames: []string{"a"}},
		{Type: layout.Histogram, Name: "h", LabelNames: []string{"a"}, Bounds: []float64{1, 2, 3}},
		{Type: layout.Gauge, Name: "g", LabelNames: []string{"a"}, Mode: layout.Max},
		{Type: layout.Summary, Name: "s", LabelNames: []string{"a"}},
	}
	m, random := New(), rand.New(rand.NewPCG(1, 2))
	var all []Values
	for i := range 9 {
		mb := m.Join(Process{ID: layout.NewID(), Start: int64(i), Live: true})
		var inputs []Input
		var words []uint64
		for n := range 40 {
			if i%2 == 1 {
				n = random.IntN(60)
			}
			for f, family := range families {
				inputs = append(inputs, Input{Family: f, Values: []string{strconv.Itoa(n)}, Created: 1, At: len(words), Gone: random.IntN(9) == 0})
				for w := range family.ValueWords() {
					switch {
					case w == 1 && family.Type != layout.Gauge:
						words = append(words, math.Float64bits(random.ExpFloat64()))
					case family.Type == layout.Gauge:
						words = append(words, layout.EncodeGauge(random.Float64()))
					default:
						words = append(words, random.Uint64())
					}
				}
			}
		}
		m.Extend(mb, families, inputs)
		all = append(all, Values{mb, words})
	}

	type value struct {
		Name, Label    string
		Counter, Gauge float64
		Count          uint64
		Sum            float64
		Buckets        []uint64
	}
	merged := func() (values []value) {
		for _, f := range m.Families() {
			for _, s := range f.Series {
				v := value{Name: f.Name, Label: s.Labels[0].Value, Gauge: s.Gauge()}
				v.Count, v.Sum = s.Observations()
				if f.counter() {
					v.Counter = m.Counter(s)
				}
				v.Buckets = append(v.Buckets, s.Buckets()...)
				values = append(values, v)
			}
		}
		return values
	}
	m.Begin()
	for _, v := range all {
		m.Add(v.Member, v.Words)
	}
	want := merged()
	for goroutines := range 7 {
		m.Begin()
		m.AddAll(all, goroutines)
		if diff := cmp.Diff(want, merged()); diff != "" {
			t.Errorf("%d goroutines (-one +several):\n%s", goroutines, diff)
		}
	}
	if len(want) < 4*40 {
		t.Errorf("%d series", len(want))
	}
}
