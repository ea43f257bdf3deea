package foreign

import (
	"cmp"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/mirror"
)

// series is a series of the mirror: the base plus the last value of the collector. The base keeps a
// cumulative series from going down, because Prometheus takes a dip of a total for a reset and
// counts the values of all other processes again.
type series struct {
	family *family
	labels []layout.Label // sorted by name
	hash   uint64
	next   *series // with the same hash, in Mirror.byHash
	owner  *record // that shows the series; nil: no collector shows the series

	base, last value
	created    int64 // start timestamp of the first shown metric, Unix nanoseconds; 0: unknown
	began      int64 // start timestamp at the last look
	looked     int64 // when the last look began, Unix nanoseconds
	stamp      int64 // explicit timestamp, milliseconds; 0: none

	encoded []byte // the metric as protobuf
	prefix  int32  // bytes of the labels in encoded
	at      int32  // index in family.series
	size    int32  // room in the family
	state   standing
	steady  bool // the last two looks had the same start timestamp
	once    bool // a single look has met the series since the last restart
}

// standing says whether a collector shows a series.
type standing uint8

const (
	shown   standing = iota // some collector shows the series
	deleted                 // the collector of the series does not show the series any more: a share
	left                    // the collector of the series was unregistered
	dropped                 // the mirror has the series no longer
)

// take takes the content of a record after a look that began at the time at. reset reports whether
// the collector was reset.
func (s *series) take(r *record, at int64) (reset bool) {
	// A vec has another metric for a series that was deleted and made again.
	trusted := s.steady || s.once && s.state == deleted || r.remade && r.part.steady
	s.once = false
	switch {
	case s.looked == 0:
		s.created, s.once = r.created, true
	case !cumulative(s.family.kind):
	case s.state == left:
		if r.created == 0 || r.created != s.began {
			s.restart() // by another collector than the unregistered one
		}
	case r.value.below(&s.last) || trusted && s.later(r.created):
		reset = s.state == shown
		s.restart()
	}
	s.steady = s.looked != 0 && r.created == s.began
	s.last.set(&r.value)
	s.began, s.looked, s.stamp, s.state, s.owner = r.created, at, r.timestamp, shown, r
	return reset
}

// again notes a look that began at the time at and has met the series unchanged.
func (s *series) again(at int64) { s.looked, s.steady, s.once = at, true, false }

// restart adds the last value to the base: the values of the collector start again at zero.
func (s *series) restart() {
	s.base = s.base.plus(s.last)
	s.last, s.once = value{}, true
}

// later reports whether the start timestamp of a series moved beyond the last look. The series was
// reset then, even if the values are higher than before the reset. A start timestamp before the
// last look is no reset, because the values of the last look were counted since. A start timestamp
// that moves in each look is not trusted.
func (s *series) later(created int64) bool {
	return s.began != 0 && created > s.began && created > s.looked
}

// total returns the value to show.
func (s *series) total() value {
	if s.base.empty() {
		return s.last
	}
	return s.base.plus(s.last)
}

// validate returns why a reader would refuse the series.
func (s *series) validate() error {
	d := s.family.definition(s.labels)
	values := layout.Series{}
	for _, l := range s.labels {
		values.Values = append(values.Values, l.Value)
	}
	return cmp.Or(d.Validate(), values.Validate(&d))
}

// encode encodes the value of the series.
func (s *series) encode() {
	m := s.metric(s.total())
	switch { // layout.MirrorBucket says what a timestamp means
	case s.state == deleted:
		m.TimestampMs = new(s.looked / int64(time.Millisecond))
	case s.family.stamped:
		m.TimestampMs = new(s.stamp)
	}
	encoded, err := proto.MarshalOptions{}.MarshalAppend(s.encoded[:s.prefix], m)
	if err == nil { // always: the message has all required fields
		s.encoded = encoded
	}
}

// metric returns the series with a value, without labels.
func (s *series) metric(v value) *dto.Metric {
	var created *timestamppb.Timestamp
	if s.created != 0 {
		created = timestamppb.New(time.Unix(0, s.created))
	}
	switch s.family.kind {
	case dto.MetricType_COUNTER:
		return &dto.Metric{Counter: &dto.Counter{Value: &v.number, CreatedTimestamp: created}}
	case dto.MetricType_GAUGE:
		return &dto.Metric{Gauge: &dto.Gauge{Value: &v.number}}
	case dto.MetricType_UNTYPED:
		return &dto.Metric{Untyped: &dto.Untyped{Value: &v.number}}
	}
	o := v.observed
	if s.family.kind == dto.MetricType_SUMMARY {
		return &dto.Metric{Summary: &dto.Summary{SampleCount: &o.count, SampleSum: &o.sum, CreatedTimestamp: created}}
	}
	h := &dto.Histogram{SampleCount: &o.count, SampleSum: &o.sum, CreatedTimestamp: created}
	for i := range o.bounds {
		h.Bucket = append(h.Bucket, &dto.Bucket{UpperBound: &o.bounds[i], CumulativeCount: &o.buckets[i]})
	}
	if o.native != nil {
		mirror.EncodeNative(h, o.native)
	}
	return &dto.Metric{Histogram: h}
}
