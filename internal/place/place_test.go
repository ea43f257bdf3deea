package place

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Changes that follow each other are one.
func TestMirroredAdd(t *testing.T) {
	var all, change Mirrored
	for _, step := range []map[string][]byte{
		{"a": {1}, "b": {1}}, {"a": nil, "c": {1}}, {"b": {2}, "c": nil, "d": nil},
	} {
		change.Add(Mirrored{Families: step})
		all.Add(Mirrored{Families: step})
		all.Settle()
	}
	if diff := cmp.Diff(map[string][]byte{"b": {2}}, all.Families); diff != "" {
		t.Errorf("all (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string][]byte{"a": nil, "b": {2}, "c": nil, "d": nil}, change.Families); diff != "" {
		t.Errorf("change (-want +got):\n%s", diff)
	}
}
