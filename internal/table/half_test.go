package table

import (
	"errors"
	"strconv"
	"testing"

	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/mirror"
)

// encoded is a counter with so many series, each of a value.
func encoded(t *testing.T, series int, value float64) []byte {
	t.Helper()
	f := &dto.MetricFamily{Name: new("c_total"), Help: new("h"), Type: dto.MetricType_COUNTER.Enum()}
	for i := range series {
		f.Metric = append(f.Metric, &dto.Metric{
			Label: []*dto.LabelPair{{Name: new("l"), Value: new(strconv.Itoa(i))}}, Counter: &dto.Counter{Value: &value},
		})
	}
	b, err := mirror.Encode(f, 0)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// total adds up what a merger would add up.
func total(t *Table) (series int, sum uint64) {
	values := make([]uint64, t.Words())
	t.CopyFixed(values)
	for _, e := range t.Entries() {
		if !e.Gone {
			series++
			sum += values[e.At]
		}
	}
	return series, sum
}

// The limit ends the taking of a family half-way, and the family shrinks afterwards: each series
// counts once.
func TestFamilyTakenHalfWayShrinks(t *testing.T) {
	const one = entryBytes + 2*2*layout.WordBytes + textBytes + 1 // a series
	for _, c := range []struct {
		name   string
		before int   // series
		grown  int   // series of the family that is too large
		room   int64 // bytes beyond before
		base   int   // series of a base of the family that is too large
		after  int
	}{
		{name: "a family that was there", before: 2, grown: 5, room: 2 * one, after: 2},
		{name: "a new family", grown: 5, room: 3*one + 100, after: 3},
		{name: "the same as before", before: 3, grown: 9, room: one, after: 3},
		{name: "with a base", before: 1, grown: 4, base: 4, room: 4 * one, after: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			table := &Table{}
			take := func(series, base int) error {
				var all []Mirrored
				if series > 0 {
					all = []Mirrored{{Name: "c_total", Value: encoded(t, series, 10)}}
				}
				if base > 0 {
					all[0].Base = encoded(t, base, 4)
				}
				return table.TakeMirrored(all)
			}
			if err := take(c.before, 0); err != nil {
				t.Fatal(err)
			}
			used := table.memory
			table.memory = maxMemory - c.room
			for range 2 {
				if err := take(c.grown, c.base); !errors.Is(err, layout.ErrLimit) {
					t.Fatalf("error %v, want %v", err, layout.ErrLimit)
				}
			}
			table.memory = used // the reader looks again
			if err := take(c.after, 0); err != nil {
				t.Fatal(err)
			}
			if series, sum := total(table); series != c.after || sum != uint64(10*c.after) {
				t.Errorf("%d series with a sum of %d, want %d with %d", series, sum, c.after, 10*c.after)
			}
		})
	}
}
