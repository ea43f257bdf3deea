package foreign

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	dto "github.com/prometheus/client_model/go"
	"go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/mirror"
	"github.com/mpmetrics/mpmetrics/internal/place"
)

// family is a family of the mirror.
type family struct {
	descText
	kind dto.MetricType
	mode layout.Mode
	omit bool // the user omits the family

	// summed is set if neither the user nor a rule for the name chose the mode of a gauge. stamped
	// is set if the family shows the newest value, with its timestamp, instead: all series have
	// explicit timestamps.
	summed, stamped bool

	series []*series
	living int       // series with an owner
	kept   []*series // series without an owner, in the order in which the series lost their owners
	head   int       // room of name, help and unit
	bytes  int       // room of the whole family
	gone   int       // room of the deleted series in kept

	stale     bool   // the family is in Mirror.stale
	value     []byte // as staged, nil: not staged
	exemplars map[*series][]mirror.Exemplar
}

// maxKeyBytes is the longest key of bbolt.
const maxKeyBytes = bbolt.MaxKeySize

// definition returns the definition of a series as a reader sees the definition, without bounds.
func (f *family) definition(labels []layout.Label) layout.Family {
	d := layout.Family{Type: mirror.TypeOf(f.kind), Name: f.name, Help: f.help, Unit: f.unit, Mode: f.mode}
	for _, l := range labels {
		d.LabelNames = append(d.LabelNames, l.Name)
	}
	return d
}

// validate returns why a reader would refuse every series of the family.
func (f *family) validate() error {
	if len(f.name) > maxKeyBytes {
		return fmt.Errorf("a name of %d bytes, at most %d", len(f.name), maxKeyBytes)
	}
	if f.omit {
		return nil
	}
	d := f.definition(nil)
	return d.Validate()
}

// maxDeletedBytes bounds the deleted series that a family keeps.
const maxDeletedBytes = layout.MaxMirrorBytes / 8

func (m *Mirror) noteStale(f *family) {
	if !f.stale {
		f.stale = true
		m.stale = append(m.stale, f)
	}
}

// find returns the series of a family with the labels of a record, nil if there is none.
func (m *Mirror) find(f *family, r *record) *series {
	for s := m.byHash[r.hash]; s != nil; s = s.next {
		if s.family == f && sameLabels(s.labels, r.labels) {
			return s
		}
	}
	return nil
}

// make makes the series of a record, nil if the series is not mirrored. Series with an owner have
// room first.
func (m *Mirror) make(f *family, r *record) *series {
	s := &series{family: f, labels: r.labels, hash: r.hash, owner: r}
	if err := s.validate(); err != nil {
		err = fmt.Errorf("series %s: %w", labelText(s.labels), err)
		m.leftOut(reasonInvalid, f.name, err, 1)
		r.refused = true
		r.part.collection.refusals[r] = fmt.Errorf("family %s: %w", f.name, err)
		return nil
	}
	if !m.makeRoom(f, int(r.size)) {
		m.leftOut(reasonLimit, f.name, fmt.Errorf("series %s finds no room in %d bytes of a family and %d bytes of all families", labelText(r.labels), layout.MaxMirrorBytes, maxMirrorBytes), 1)
		return nil
	}
	s.encoded = mirror.AppendLabels(make([]byte, 0, r.size), s.labels)
	s.prefix = int32(len(s.encoded))
	s.next = m.byHash[s.hash]
	m.byHash[s.hash] = s
	s.at = int32(len(f.series))
	f.series = append(f.series, s)
	f.living++
	m.resize(s, r.size)
	return s
}

// resizeHead gives a family the size of its name, help and unit.
func (m *Mirror) resizeHead(f *family) {
	more := f.size() - f.head
	f.head += more
	f.bytes += more
	m.bytes += more
}

// resize gives a series another size.
func (m *Mirror) resize(s *series, size int32) {
	more := int(size - s.size)
	s.size = size
	s.family.bytes += more
	m.bytes += more
}

// makeRoom drops series without an owner until so many bytes have room.
func (m *Mirror) makeRoom(f *family, more int) bool {
	for f.bytes+more > layout.MaxMirrorBytes {
		if len(f.kept) == 0 {
			return false
		}
		m.drop(f.kept[0])
	}
	for m.bytes+more > maxMirrorBytes {
		var most *family
		for _, f := range m.families {
			if len(f.kept) > 0 && (most == nil || len(f.kept) > len(most.kept)) {
				most = f
			}
		}
		if most == nil {
			return false
		}
		m.drop(most.kept[0])
	}
	return true
}

// keep keeps a series that lost its owner, if the values of the series are summed up: another series
// with the same labels may follow, and adds up. keep reports whether the series stays.
func (m *Mirror) keep(s *series, why standing) bool {
	f := s.family
	if !cumulative(f.kind) || f.mode != 0 {
		m.drop(s)
		return false
	}
	s.owner, s.state = nil, why
	delete(f.exemplars, s)
	f.living--
	f.kept = append(f.kept, s)
	m.noteStale(f)
	if why == deleted {
		s.encode()
		for f.gone += int(s.size); f.gone > maxDeletedBytes; {
			m.drop(f.kept[slices.IndexFunc(f.kept, func(s *series) bool { return s.state == deleted })])
		}
	}
	return s.state == why
}

// revive gives a series without an owner an owner again.
func (m *Mirror) revive(s *series) {
	s.family.forgetKept(s)
	s.family.living++
}

// forgetKept takes a series without an owner out of the list.
func (f *family) forgetKept(s *series) {
	i := slices.Index(f.kept, s)
	f.kept = slices.Delete(f.kept, i, i+1)
	if s.state == deleted {
		f.gone -= int(s.size)
	}
}

// drop drops a series.
func (m *Mirror) drop(s *series) {
	f := s.family
	if s.owner == nil {
		f.forgetKept(s)
	} else {
		f.living--
	}
	last := f.series[len(f.series)-1]
	last.at, f.series[s.at] = s.at, last
	f.series[len(f.series)-1] = nil
	f.series = f.series[:len(f.series)-1]
	if first := m.byHash[s.hash]; first != s {
		for first.next != s {
			first = first.next
		}
		first.next = s.next
	} else if s.next != nil {
		m.byHash[s.hash] = s.next
	} else {
		delete(m.byHash, s.hash)
	}
	m.resize(s, 0)
	delete(f.exemplars, s)
	s.state = dropped
	m.noteStale(f)
}

// encode encodes the families that changed, and returns the changes for the place.
func (m *Mirror) encode() place.Mirrored {
	changed := place.Mirrored{Families: map[string][]byte{}}
	for _, f := range m.stale {
		f.stale = false
		value := m.valueOf(f)
		if !bytes.Equal(value, f.value) {
			f.value = value
			changed.Families[f.name] = value
		}
		m.encodeExemplarsOf(f)
		if len(f.series) == 0 {
			m.bytes -= f.bytes
			delete(m.families, f.name)
		}
	}
	clear(m.stale)
	m.stale = m.stale[:0]
	changed.Exemplars = m.encodeExemplars()
	return changed
}

// valueOf returns the value of a family to stage, nil for none.
func (m *Mirror) valueOf(f *family) []byte {
	if len(f.series) == 0 {
		return nil
	}
	m.stamp(f)
	head, err := proto.Marshal(&dto.MetricFamily{Name: &f.name, Help: &f.help, Type: f.kind.Enum(), Unit: f.unitOrNil()})
	if err != nil {
		return f.value // the encoding of the series has failed too
	}
	encoded := make([]byte, 0, f.bytes)
	encoded = append(encoded, head...)
	for _, s := range f.series {
		encoded = mirror.AppendMetric(encoded, s.encoded)
	}
	if len(encoded) > layout.MaxMirrorBytes {
		m.leftOut(reasonLimit, f.name, fmt.Errorf("the family has %d bytes, at most %d", len(encoded), layout.MaxMirrorBytes), 1)
		return f.value // a series less would be a dip
	}
	mode := f.mode
	if f.stamped {
		mode = layout.LiveMostRecent
	}
	return layout.AppendMirror(nil, mode, encoded)
}

// stamp decides whether a family shows timestamps. A sum of several processes has no timestamp.
func (m *Mirror) stamp(f *family) {
	with := 0
	for _, s := range f.series {
		if s.stamp != 0 {
			with++
		}
	}
	stamped := f.summed && with == len(f.series)
	if with > 0 && !stamped {
		m.leftOut(reasonTimestamp, f.name, errors.New("explicit timestamps are dropped, because not all series have one, or because the processes are added up"), with)
	}
	if stamped == f.stamped {
		return
	}
	f.stamped = stamped
	for _, s := range f.series {
		s.encode()
	}
}

func (f *family) unitOrNil() *string {
	if f.unit == "" {
		return nil
	}
	return &f.unit
}
