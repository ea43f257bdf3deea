package foreign

import (
	"bytes"
	"maps"
	"slices"

	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/mirror"
)

// encodeExemplarsOf encodes the exemplars of a family that changed.
func (m *Mirror) encodeExemplarsOf(f *family) {
	delete(m.encoded, f.name)
	if len(f.exemplars) == 0 {
		return
	}
	var all []mirror.Exemplar
	for _, s := range f.series {
		all = append(all, f.exemplars[s]...)
	}
	if value := m.validExemplars(f.name, all); value != nil {
		m.encoded[f.name] = value
	}
}

// validExemplars encodes the exemplars of a family, nil if a reader would refuse them.
func (m *Mirror) validExemplars(name string, all []mirror.Exemplar) []byte {
	value, err := mirror.EncodeExemplars(name, all)
	if err == nil && !bytes.Equal(m.exemplars[name], value) {
		_, err = mirror.DecodeExemplars(value)
	}
	if err != nil {
		m.leftOut(reasonExemplars, name, err, 1)
		return nil
	}
	return value
}

// encodeExemplars returns the change of the exemplars for the place, of own instruments too.
func (m *Mirror) encodeExemplars() map[string][]byte {
	own := map[string][]mirror.Exemplar{}
	for _, e := range m.Catalog.Exemplars().All(m.Place.Shows) {
		name := e.Series.Family.Def.Name
		own[name] = append(own[name], mirror.Exemplar{Labels: labelsOf(e.Series.LabelPairs()), Bound: e.Bound, Exemplar: e.Exemplar})
	}
	now := maps.Clone(m.encoded)
	for name, all := range own {
		if value := m.validExemplars(name, all); value != nil {
			now[name] = value
		}
	}
	total := 0
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if total += len(now[name]); total > maxMirrorBytes {
			delete(now, name) // some exemplars are enough
		}
	}
	changed := difference(m.exemplars, now)
	m.exemplars = now
	return changed
}

func labelsOf(pairs []*dto.LabelPair) []layout.Label {
	labels := make([]layout.Label, len(pairs))
	for i, l := range pairs {
		labels[i] = layout.Label{Name: l.GetName(), Value: l.GetValue()}
	}
	return labels
}

// difference returns the change from one content to another.
func difference(from, to map[string][]byte) map[string][]byte {
	changed := map[string][]byte{}
	for name, value := range to {
		if !bytes.Equal(from[name], value) {
			changed[name] = value
		}
	}
	for name := range from {
		if _, there := to[name]; !there {
			changed[name] = nil
		}
	}
	return changed
}
