//go:build unix

package archive

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

func TestFields(t *testing.T) {
	a := sample(3)
	fields, err := a.Fields()
	if err != nil {
		t.Fatal(err)
	}
	b, err := FromFields(fields, layout.NewID())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.EqualFunc(records(t, a), records(t, b), slices.Equal) {
		t.Error("other records were read than were written")
	}
	if b.Epoch != a.Epoch || !b.Exists() || b.Size == 0 {
		t.Errorf("epoch %d, want %d; exists %v, size %d", b.Epoch, a.Epoch, b.Exists(), b.Size)
	}
	again, err := b.Fields()
	if err != nil || !maps.Equal(fields, again) {
		t.Errorf("other fields were written again, error %v", err)
	}
	if none, err := FromFields(nil, layout.NewID()); err != nil || none.Exists() {
		t.Errorf("of nothing: %v, exists %v", err, none.Exists())
	}
}

// Who adds one process to an archive of many series writes what that process has, and
// little else.
func TestFieldsThatChange(t *testing.T) {
	a := sample(3)
	before, err := a.Fields()
	if err != nil {
		t.Fatal(err)
	}
	id := layout.NewID()
	a.Record(layout.Absorbed{ID: id, Start: 9, Time: 100})
	after, err := a.Fields()
	if err != nil {
		t.Fatal(err)
	}
	var changed []string
	for field, value := range after {
		if before[field] != value {
			changed = append(changed, field)
		}
	}
	if len(changed) != 1 || changed[0] != absorbedField+string(id[:]) {
		t.Errorf("changed: %q", changed)
	}
}

func TestRefusedFields(t *testing.T) {
	whole, err := sample(1).Fields()
	if err != nil {
		t.Fatal(err)
	}
	one := func(prefix string) string {
		for field := range whole {
			if strings.HasPrefix(field, prefix) && field != stateField {
				return field
			}
		}
		t.Fatalf("no field %q", prefix)
		return ""
	}
	record := func(payload []byte) string { return string(append([]byte{byte(len(payload))}, payload...)) }
	for _, test := range []struct{ name, field, value, want string }{
		{name: "no epoch", field: prunedField, value: "", want: "invalid syntax"},
		{name: "state of another kind", field: stateField, value: record(layout.AppendRank(nil, &layout.Rank{})), want: "state record"},
		{name: "cut short", field: one(familyField), value: whole[one(familyField)][:3], want: "cut short"},
		{name: "no record", field: one(familyField), value: record([]byte{99}), want: "unknown kind 99"},
		{name: "total of no family", field: totalField + strings.Repeat("x", digestBytes), value: "", want: "total of an unknown family"},
		{
			name:  "sample of no family",
			field: DeadField(layout.NewID()),
			value: record(layout.AppendSample(nil, &layout.Sample{})),
			want:  "sample of an unknown family",
		},
	} {
		fields := maps.Clone(whole)
		fields[test.field] = test.value
		_, err := FromFields(fields, layout.NewID())
		t.Run(test.name, func(t *testing.T) {
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
	delete(whole, stateField)
	_, err = FromFields(whole, layout.NewID())
	wantError(t, err, "state record", layout.ErrDamaged)
}

func TestFieldAboveTheLimit(t *testing.T) {
	if _, err := sample(layout.MaxArchiveRecordBytes + 1).Fields(); err == nil || !strings.Contains(err.Error(), "above the limit") {
		t.Errorf("error %v", err)
	}
}
