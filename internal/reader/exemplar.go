package reader

import (
	"bytes"
	"fmt"

	"github.com/mpmetrics/mpmetrics/internal/mirror"
)

// Exemplars are the exemplars of the file's series, by the name of their family.
// The map belongs to the File.
func (r *File) Exemplars() map[string][]mirror.Exemplar { return r.exemplars }

// takeExemplars takes the exemplars of a snapshot.
func (r *File) takeExemplars(found []mirrorValue) error {
	if len(found) == 0 {
		r.exemplars, r.encoded = nil, nil
		return nil
	}
	exemplars, encoded := make(map[string][]mirror.Exemplar, len(found)), make(map[string][]byte, len(found))
	for _, v := range found {
		encoded[v.name] = v.value
		if known, ok := r.exemplars[v.name]; ok && bytes.Equal(r.encoded[v.name], v.value) {
			exemplars[v.name] = known
			continue
		}
		all, err := mirror.DecodeExemplars(v.value)
		if err != nil {
			return fmt.Errorf("family %.100q: %w", v.name, err)
		}
		exemplars[v.name] = all
	}
	r.exemplars, r.encoded = exemplars, encoded
	return nil
}
