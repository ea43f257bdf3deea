package reader

import (
	"bytes"
	"fmt"

	"github.com/mpmetrics/mpmetrics/internal/mirror"
	"github.com/mpmetrics/mpmetrics/internal/table"
)

// Exemplars returns the exemplars of the series in the file, by name of the family. The map belongs
// to the File.
func (r *File) Exemplars() map[string][]mirror.Exemplar { return r.exemplars }

// takeExemplars takes the exemplars of a snapshot.
func (r *File) takeExemplars(found []table.Mirrored) error {
	if len(found) == 0 {
		r.exemplars, r.encoded = nil, nil
		return nil
	}
	exemplars, encoded := make(map[string][]mirror.Exemplar, len(found)), make(map[string][]byte, len(found))
	for _, v := range found {
		encoded[v.Name] = v.Value
		if known, ok := r.exemplars[v.Name]; ok && bytes.Equal(r.encoded[v.Name], v.Value) {
			exemplars[v.Name] = known
			continue
		}
		all, err := mirror.DecodeExemplars(v.Value)
		if err != nil {
			return fmt.Errorf("family %.100q: %w", v.Name, err)
		}
		exemplars[v.Name] = all
	}
	r.exemplars, r.encoded = exemplars, encoded
	return nil
}
