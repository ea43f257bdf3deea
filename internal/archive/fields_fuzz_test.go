//go:build unix

package archive

import (
	"testing"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// FuzzFields: whatever the fields of an archive hold, reading them ends, with an error or
// with an archive whose fields are read again as the same.
func FuzzFields(f *testing.F) {
	seed := func(a *Archive) {
		fields, err := a.Fields()
		if err != nil {
			f.Fatal(err)
		}
		var data []byte
		for field, value := range fields {
			data = append(append(data, byte(len(field))), field...)
			data = append(data, byte(len(value)), byte(len(value)>>8))
			data = append(data, value...)
		}
		f.Add(data)
	}
	seed(New())
	seed(sample(3))
	f.Fuzz(func(t *testing.T, data []byte) {
		fields := map[string]string{}
		for len(data) > 2 {
			n := min(int(data[0]), len(data)-3)
			field := string(data[1 : 1+n])
			data = data[1+n:]
			m := min(int(data[0])|int(data[1])<<8, len(data)-2)
			fields[field] = string(data[2 : 2+m])
			data = data[2+m:]
		}
		a, err := FromFields(fields, layout.ID{1})
		if err != nil {
			return
		}
		again, err := a.Fields()
		if err != nil {
			t.Fatal(err)
		}
		b, err := FromFields(again, layout.ID{1})
		if err != nil {
			t.Fatalf("read, written, and not read again: %v", err)
		}
		third, err := b.Fields()
		if err != nil {
			t.Fatal(err)
		}
		for field, value := range again {
			if third[field] != value {
				t.Errorf("field %q: %x, then %x", field, value, third[field])
			}
		}
	})
}
