package foreign

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/mirror"
)

// collection is what one collector shows. A look takes each metric into the collection at once, so
// that no metric outlives the look, and a look has an end for any number of metrics:
//
//  1. begin starts the look.
//  2. note takes a metric. note finds a known series by the address of its metric, because most
//     collectors show the same metrics in each look, or by its labels. A new series is kept if the
//     mirror may have room for the series. Without room note does not even write the metric.
//  3. end drops the series that the look did not meet, and gives their room to new series.
//
// A collection belongs to the holder of the claim of its guard.
type collection struct {
	closed    *atomic.Bool // by the mirror: a running look passes quickly
	vec       bool         // of a vec of client_golang
	look      uint64       // number of the last look
	at        int64        // the start of the last look, Unix nanoseconds
	lost      bool         // the look could not read a metric, which may be any series
	parts     map[string]*part
	descs     map[*prometheus.Desc]*part
	byHash    map[uint64]*record
	byAddress map[uintptr]*record
	bytes     int // of all parts

	// Events since the mirror took the collection:
	gone   []*record // records with a series that are in the collection no longer
	faults []fault

	exemplars map[*record][]mirror.Exemplar // never empty
	refusals  map[*record]error             // of the mirror, because a reader would refuse the series

	metric dto.Metric        // that is being taken
	labels []layout.Label    // of metric
	shown  []mirror.Exemplar // of metric
}

// part is what one collector shows of a family.
type part struct {
	collection *collection
	descText
	kind    dto.MetricType
	records []*record
	bytes   int // sum of the sizes of the records, and of name and help

	// In the running look:
	known int                 // records at the start of the look
	unmet int                 // of the known records, those that the look has not met
	moved int                 // records with another metric than in the look before
	over  int                 // metrics without room
	over1 string              // the labels of the first of these metrics
	later []prometheus.Metric // metrics that were not written yet
	// unknown are metrics of new series that wait for room.
	unknown []prometheus.Metric

	// fresh is set if the collector makes its metrics anew for each look: the address of a metric
	// says nothing then.
	fresh       bool
	judged      bool // fresh is known
	movedBefore bool // most metrics were others in the last look than in the look before

	// steady is set during a look, and until the next, if the collector showed the same metrics in
	// the looks before: another metric is a series that was made again.
	steady bool

	dropped bool // the collection has the part no longer
}

const (
	// maxDescs bounds the descriptors that a collection knows: some collectors make their
	// descriptors anew for each look.
	maxDescs = 4096

	// maxLater bounds the metrics of a family that wait for the end of a look.
	maxLater = 4096

	// maxFaults bounds the faults of one look.
	maxFaults = 100
)

func newCollection() *collection {
	return &collection{
		closed: &atomic.Bool{},
		parts:  map[string]*part{}, descs: map[*prometheus.Desc]*part{}, byHash: map[uint64]*record{}, byAddress: map[uintptr]*record{},
		exemplars: map[*record][]mirror.Exemplar{}, refusals: map[*record]error{},
	}
}

// begin is step 1.
func (c *collection) begin() {
	c.look, c.at, c.lost = c.look+1, time.Now().UnixNano(), false
	for _, p := range c.parts {
		p.steady = p.judged && !p.fresh
		p.known, p.unmet, p.moved, p.over, p.over1, p.later, p.unknown = len(p.records), len(p.records), 0, 0, "", nil, nil
	}
}

// note is step 2.
func (c *collection) note(m prometheus.Metric) error {
	if c.closed.Load() {
		return nil
	}
	at := address(m)
	if r := c.byAddress[at]; r != nil && r.is(m, at) {
		if err := c.write(m, r.part.name); err != nil {
			return err
		}
		if r.wrote(c.metric.Label) {
			return c.meet(r, m, at)
		}
		return c.take(r.part, m, at)
	}
	p, err := c.partOf(m.Desc())
	if p == nil {
		return err
	}
	switch {
	case p.fresh || !c.full(p):
		return c.place(p, m)
	case p.unmet == 0: // so the metric is of a new series
		return c.turnAway(p, m)
	case len(p.later) < maxLater:
		p.later = append(p.later, m)
	case !p.judged:
		p.fresh = true // until the end of the look
		return c.place(p, m)
	default:
		return c.turnAway(p, m)
	}
	return nil
}

// place takes a metric that is not known by its address.
func (c *collection) place(p *part, m prometheus.Metric) error {
	if err := c.write(m, p.name); err != nil {
		return err
	}
	return c.take(p, m, address(m))
}

// write writes a metric into c.metric.
func (c *collection) write(m prometheus.Metric, family string) error {
	out := &c.metric
	out.Label, out.TimestampMs = nil, nil
	out.Gauge, out.Counter, out.Summary, out.Untyped, out.Histogram = nil, nil, nil, nil, nil
	if err := m.Write(out); err != nil {
		c.lost = true
		return fmt.Errorf("family %s: %w", family, err)
	}
	return nil
}

// partOf returns the part with a descriptor. As in a registry, a family has one help text and one
// unit. partOf returns nil for a family without room.
func (c *collection) partOf(d *prometheus.Desc) (*part, error) {
	if p := c.descs[d]; p != nil && !p.dropped {
		return p, nil
	}
	if d == nil {
		return nil, errors.New("metric without a descriptor")
	}
	if err := d.Err(); err != nil {
		c.lost = true
		return nil, err
	}
	t := textOf(d)
	p := c.parts[t.name]
	switch {
	case p == nil && c.bytes+t.size() > maxMirrorBytes:
		c.fault(reasonLimit, t.name, fmt.Errorf("no room in %d bytes of all families", maxMirrorBytes), 1)
		return nil, nil
	case p == nil:
		p = &part{collection: c, descText: t, bytes: t.size(), judged: c.vec, steady: c.vec}
		c.bytes += p.bytes
		c.parts[t.name] = p
	case p.descText == t:
	case p.unmet < len(p.records):
		return nil, fmt.Errorf("family %s has help %q and unit %q, but should have %q and %q", t.name, t.help, t.unit, p.help, p.unit)
	default:
		c.dropPart(p)
		return c.partOf(d)
	}
	if len(c.descs) >= maxDescs {
		clear(c.descs)
	}
	c.descs[d] = p
	return p, nil
}

// take takes c.metric, which m wrote, into the record of its series. take makes a missing record.
func (c *collection) take(p *part, m prometheus.Metric, at uintptr) error {
	kind, ok := kindOf(&c.metric)
	switch {
	case !ok:
		return fmt.Errorf("family %s: empty metric", p.name)
	case p.kind == kind || len(p.records) == 0:
		p.kind = kind
	case p.unmet < len(p.records):
		return fmt.Errorf("family %s: a %v beside a %v", p.name, kind, p.kind)
	default: // since the last look the family has another type
		c.drop(p, func(*record) bool { return true })
		p.kind, p.known = kind, 0
	}
	c.labels = appendLabels(c.labels[:0], c.metric.Label)
	hash := hashOf(p.name, c.labels)
	for r := c.byHash[hash]; r != nil; r = r.next {
		if r.part == p && sameLabels(r.labels, c.labels) {
			return c.meet(r, m, at)
		}
	}
	return c.add(p, hash, m)
}

// meet takes c.metric, which m wrote, into a record.
func (c *collection) meet(r *record, m prometheus.Metric, at uintptr) error {
	p := r.part
	if r.look == c.look {
		switch t := c.metric.GetTimestampMs(); {
		case t == r.timestamp:
			return fmt.Errorf("family %s: series %s was collected before with the same name and label values", p.name, labelText(r.labels))
		case t < r.timestamp:
			return nil // the newest sample of a series is shown
		}
	} else {
		r.look = c.look
		p.unmet--
	}
	if !r.is(m, at) {
		p.moved++
		c.forgetAddress(r)
		r.metric, r.remade = m, true
		c.noteAddress(r)
	}
	r.first = firstOf(c.metric.Label)
	changed, err := c.read(r)
	if err != nil {
		c.refuse(p, r.labels, err)
	}
	if changed && r.value.observed != nil {
		c.resize(r, r.sizeOf()) // the buckets may be others
	}
	r.changed = r.changed || changed
	return nil
}

// read takes the content of c.metric into a record, and reports whether the content changed.
func (c *collection) read(r *record) (changed bool, err error) {
	m := &c.metric
	changed, err = r.value.read(m)
	if err != nil {
		return false, err
	}
	if created := createdOf(m); created != r.created {
		r.created, changed = created, true
	}
	if at := m.GetTimestampMs(); at != r.timestamp {
		r.timestamp, changed = at, true
	}
	c.shown = exemplarsOf(c.shown[:0], m, r.labels)
	if former := c.exemplars[r]; !slices.EqualFunc(c.shown, former, sameExemplar) {
		c.exemplars[r], changed = slices.Clone(c.shown), true
		if len(c.shown) == 0 {
			delete(c.exemplars, r)
		}
	}
	return changed, nil
}

func sameExemplar(a, b mirror.Exemplar) bool { return a.Exemplar == b.Exemplar }

// add makes a record for c.metric, which m wrote, if there is room.
func (c *collection) add(p *part, hash uint64, m prometheus.Metric) error {
	r := &record{part: p, at: int32(len(p.records)), labels: slices.Clone(c.labels), hash: hash, metric: m, first: firstOf(c.metric.Label), look: c.look, changed: true}
	if _, err := r.value.read(&c.metric); err != nil {
		c.refuse(p, r.labels, err)
		return nil
	}
	size := r.sizeOf()
	if !c.room(p, size) {
		if p.unmet > 0 && len(p.unknown) < maxLater {
			p.unknown = append(p.unknown, m)
			return nil
		}
		return c.turnAway(p, m)
	}
	if len(c.metric.GetSummary().GetQuantile()) > 0 {
		c.fault(reasonQuantiles, p.name, errors.New("quantiles of several processes do not merge; sum and count do"), 1)
	}
	p.records = append(p.records, r)
	c.resize(r, size)
	r.next = c.byHash[hash]
	c.byHash[hash] = r
	c.noteAddress(r)
	_, err := c.read(r)
	return err
}

// resize gives a record another size.
func (c *collection) resize(r *record, size int) {
	more := size - int(r.size)
	r.size = int32(size)
	r.part.bytes += more
	c.bytes += more
}

// room reports whether so many bytes of a new series have room in a part and in the mirror.
func (c *collection) room(p *part, bytes int) bool {
	return p.bytes+bytes <= layout.MaxMirrorBytes && c.bytes+bytes <= maxMirrorBytes
}

// full reports whether a series of the usual size has no room.
func (c *collection) full(p *part) bool { return !c.room(p, p.bytes/(len(p.records)+1)+1) }

// turnAway counts a metric of a new series without room.
func (c *collection) turnAway(p *part, m prometheus.Metric) error {
	p.over++
	if p.over > 1 {
		return nil
	}
	if err := c.write(m, p.name); err != nil {
		return err
	}
	p.over1 = labelText(appendLabels(nil, c.metric.Label))
	return nil
}

// refuse counts a metric whose value is not mirrored. The former value of the series stays.
func (c *collection) refuse(p *part, labels []layout.Label, err error) {
	reason := reasonInvalid
	switch {
	case errors.Is(err, errImpossible):
		reason = reasonValue
	case errors.Is(err, errFloat):
		reason = reasonFloat
	}
	c.fault(reason, p.name, fmt.Errorf("series %s: %w", labelText(labels), err), 1)
}

func (c *collection) fault(reason, family string, err error, n int) {
	known := slices.ContainsFunc(c.faults, func(f fault) bool { return f.reason == reason && f.family == family })
	if !known && len(c.faults) < maxFaults {
		c.faults = append(c.faults, fault{reason, family, err, n})
	}
}

// noteAddress lets note find a record by the address of its metric.
func (c *collection) noteAddress(r *record) {
	if at := address(r.metric); at != 0 && !r.part.fresh {
		c.byAddress[at] = r
	}
}

func (c *collection) forgetAddress(r *record) {
	if at := address(r.metric); c.byAddress[at] == r {
		delete(c.byAddress, at)
	}
}

// end is step 3. end gives each use of foreign code to try, because the code may panic. If the
// code ends the goroutine, another call of end goes on after the metric.
func (c *collection) end(try func(func() error)) {
	for _, p := range c.parts {
		for m := p.next(&p.later); m != nil; m = p.next(&p.later) {
			if p.unmet == 0 {
				p.unknown = append(p.unknown, m)
				continue
			}
			try(func() error { return c.place(p, m) })
		}
		c.judge(p)
		if !c.lost || !cumulative(p.kind) {
			c.drop(p, func(r *record) bool { return r.look != c.look })
		}
		for m := p.next(&p.unknown); m != nil; m = p.next(&p.unknown) {
			if c.full(p) {
				try(func() error { return c.turnAway(p, m) })
				continue
			}
			try(func() error { return c.place(p, m) })
		}
		if p.over > 0 {
			c.fault(reasonLimit, p.name, fmt.Errorf("%d series find no room in %d bytes of a family and %d bytes of all families, series %s for instance", p.over, layout.MaxMirrorBytes, maxMirrorBytes, p.over1), p.over)
		}
		if len(p.records) == 0 {
			c.dropPart(p)
		}
	}
}

// next takes the first metric out of a list, nil if there is none.
func (p *part) next(list *[]prometheus.Metric) (m prometheus.Metric) {
	if len(*list) > 0 {
		m, *list = (*list)[0], (*list)[1:]
		return m
	}
	*list = nil
	return nil
}

// judge decides whether the collector makes the metrics of a part anew for each look.
func (c *collection) judge(p *part) {
	met := p.known - p.unmet
	if met == 0 && p.judged {
		return
	}
	moved := 2*p.moved > met
	fresh := moved && (p.movedBefore || !p.judged) && !c.vec // a vec was reset if its metrics moved
	p.judged, p.movedBefore = met > 0 || c.vec, moved
	if fresh == p.fresh {
		return
	}
	for _, r := range p.records {
		c.forgetAddress(r)
	}
	p.fresh = fresh
	for _, r := range p.records {
		c.noteAddress(r)
	}
}

// drop drops records of a part.
func (c *collection) drop(p *part, which func(*record) bool) {
	for i := len(p.records) - 1; i >= 0; i-- {
		r := p.records[i]
		if !which(r) {
			continue
		}
		if r.look != c.look {
			p.unmet--
		}
		last := p.records[len(p.records)-1]
		last.at, p.records[i] = int32(i), last
		p.records[len(p.records)-1] = nil
		p.records = p.records[:len(p.records)-1]
		c.resize(r, 0)
		delete(c.exemplars, r)
		delete(c.refusals, r)
		c.forgetAddress(r)
		c.forgetHash(r)
		if r.series != nil {
			c.gone = append(c.gone, r)
		}
	}
}

func (c *collection) forgetHash(r *record) {
	first := c.byHash[r.hash]
	switch {
	case first != r:
		for first.next != r {
			first = first.next
		}
		first.next = r.next
	case r.next != nil:
		c.byHash[r.hash] = r.next
	default:
		delete(c.byHash, r.hash)
	}
}

// dropPart drops a part with all records.
func (c *collection) dropPart(p *part) {
	c.drop(p, func(*record) bool { return true })
	c.bytes -= p.bytes
	p.dropped = true
	delete(c.parts, p.name)
}
