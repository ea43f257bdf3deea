// Package merge merges the families of many processes into one set of families. The package holds
// every rule of merging, and does no I/O.
//
// A Merger lives for many scrapes. The Merger works out once to which merged series each series of
// a process belongs, so that a scrape of unchanged processes only adds up values.
package merge

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// Process is a contributor.
type Process struct {
	ID    layout.ID
	Start int64  // Unix nanoseconds; among several processes the newest decides
	Label string // value of the label "process" of All and LiveAll gauges
	Live  bool
}

// Input is one run of cells of a process.
type Input struct {
	Family  int      // index into the families of the process
	Values  []string // of the family's LabelNames
	Created int64    // Unix nanoseconds
	At      int      // index of the first value word
	Gone    bool     // deleted: not merged
	Share   bool     // deleted, and merged while another input or the ledger has the series: see share.go
	Stamped bool     // the time of the value is to be shown
}

// Merger merges. Only one goroutine may use a Merger at a time.
type Merger struct {
	members map[*Member]struct{}
	names   map[string]*name
	defs    map[string]*definition // by wording
	series  map[string]*Series     // by seriesKey
	stale   bool                   // the members or their definitions changed
	added   []*Series              // since the last arrange

	carried map[string]*carried // accounts of the ledger, by wording
	dead    map[layout.ID]*deadMember
	ledgers int // carried so far

	reshare    bool      // shares have to be placed again
	exemplared []*Series // series with exemplars since Begin

	slots  slots     // of counters
	others []*Series // by slot, series that are no counters; nil: free
	free   []int     // slots of others

	families  []*Family // sorted by name
	conflicts []Conflict
}

// New returns an empty Merger.
func New() *Merger {
	return &Merger{
		members: map[*Member]struct{}{},
		names:   map[string]*name{},
		defs:    map[string]*definition{},
		series:  map[string]*Series{},
		carried: map[string]*carried{},
		dead:    map[layout.ID]*deadMember{},
	}
}

// Member is a process in a Merger.
type Member struct {
	Process
	label  string // Label, with a suffix if taken; empty while no sample needs a label
	defs   []*definition
	inputs []Input
	placed []*Series // series of each input, nil: not merged; new inputs have none yet
	fresh  bool      // placed is valid, and so are:

	counters []counterRun
	terms    []term
	gauges   map[*Series]int // index into terms

	votes  []bool           // by definition, of the last decision
	shown  map[*Family]bool // families with values of the member, since the last decision; nil: not known
	shares shares
}

// Join adds a process as a member.
func (m *Merger) Join(p Process) *Member {
	// The label may be cut in the middle of a character, or be any text. A label value that is not
	// UTF-8 would make the whole scrape fail.
	p.Label = strings.ToValidUTF8(p.Label, "\ufffd")
	mb := &Member{Process: p}
	m.members[mb] = struct{}{}
	m.stale = true
	return mb
}

// Leave removes a member.
func (m *Merger) Leave(mb *Member) {
	delete(m.members, mb)
	m.stale = true
}

// SetLive notes whether the process is alive.
func (m *Merger) SetLive(mb *Member, live bool) {
	if mb.Live != live {
		mb.Live, mb.fresh, m.stale = live, false, true
	}
}

// Extend adds new definitions of the process: families and inputs, after the known families and
// inputs.
func (m *Merger) Extend(mb *Member, families []*layout.Family, inputs []Input) {
	for _, f := range families {
		mb.defs = append(mb.defs, m.intern(f))
		m.stale = true
	}
	for i, in := range inputs {
		if in.Share {
			mb.shares.inputs = append(mb.shares.inputs, len(mb.inputs)+i)
		}
		if in.Share || in.Family >= len(mb.votes) || !mb.votes[in.Family] {
			m.stale = true // a definition may have a say now
		}
	}
	mb.inputs = append(mb.inputs, inputs...)
	if mb.label == "" {
		m.stale = m.stale || slices.ContainsFunc(inputs, func(in Input) bool {
			merged := mb.defs[in.Family].merged
			return merged != nil && merged.Mode.PerProcess()
		})
	}
}

// intern returns the single definition of a wording.
func (m *Merger) intern(f *layout.Family) *definition {
	key := f.Wording()
	d := m.defs[key]
	if d == nil {
		d = &definition{family: f, key: key}
		m.defs[key] = d
		n := m.names[f.Name]
		if n == nil {
			n = &name{}
			m.names[f.Name] = n
		}
		n.defs = append(n.defs, d)
	}
	return d
}

// Inputs returns how many inputs the member has.
func (mb *Member) Inputs() int { return len(mb.inputs) }

// Remove removes an input after the deletion of its series.
func (m *Merger) Remove(mb *Member, input int) {
	if in := &mb.inputs[input]; !in.Gone {
		in.Gone, mb.fresh, m.stale = true, false, true
	}
}

// Begin starts a new sum with the totals of the ledger. After Begin, the caller has to Add the
// values of every member.
func (m *Merger) Begin() {
	if m.stale {
		m.settle()
	}
	for mb := range m.members {
		m.prepare(mb)
	}
	for _, c := range m.carried {
		m.prepareCarried(c)
	}
	if m.stale {
		m.sweep()
	}
	if m.stale || m.reshare {
		m.placeShares()
	}
	m.insert()
	m.stale, m.reshare, m.added = false, false, nil
	m.slots.reset()
	for _, f := range m.families {
		if !f.counter() {
			for _, s := range f.Series {
				s.total.reset()
			}
		}
	}
	for _, s := range m.exemplared {
		s.exemplars, s.nativeExemplars = nil, nil
	}
	m.exemplared = m.exemplared[:0]
	m.addCarried()
}

// settle repeats the decisions that depend on the set of members.
func (m *Merger) settle() {
	if m.decide() {
		// Other rules hold for some series: all series are placed again.
		for _, f := range m.families {
			f.Series = nil
		}
		m.series, m.families, m.added = map[string]*Series{}, nil, nil
		m.slots, m.others, m.free = slots{}, nil, nil
		for mb := range m.members {
			mb.fresh = false
		}
		for _, c := range m.carried {
			c.unplace()
		}
	}
	for mb := range m.members {
		mb.shown = nil
	}
	m.label()
}

// sorted returns the members in the order that decides ties: living first,
// then by start, then by id.
func (m *Merger) sorted() []*Member {
	members := make([]*Member, 0, len(m.members))
	for mb := range m.members {
		members = append(members, mb)
	}
	slices.SortFunc(members, func(a, b *Member) int {
		if a.Live != b.Live {
			if a.Live {
				return -1
			}
			return +1
		}
		return cmp.Or(cmp.Compare(a.Start, b.Start), slices.Compare(a.ID[:], b.ID[:]))
	})
	return members
}

// label gives each member with a sample labelled "process" a different value of the label: two
// containers may both run pid 1.
func (m *Merger) label() {
	members := slices.DeleteFunc(m.sorted(), func(mb *Member) bool {
		if mb.needsLabel() {
			return false
		}
		mb.label = "" // of an earlier sample: another member may have the label by now
		return true
	})
	taken := make(map[string]bool, len(members))
	for _, mb := range members {
		taken[mb.Label] = false
	}
	next := map[string]int{} // suffix to try, by label: many may have the same
	for _, mb := range members {
		label := mb.Label
		for {
			if used, known := taken[label]; !used && (label == mb.Label || !known) {
				break
			}
			next[mb.Label]++
			label = fmt.Sprintf("%s-%d", mb.Label, 1+next[mb.Label])
		}
		taken[label] = true
		if label != mb.label {
			mb.label, mb.fresh = label, false
		}
	}
}

// needsLabel reports whether a sample of the member has the label "process". A process without
// such samples reserves no label, so its absorption changes no label of another process.
func (mb *Member) needsLabel() bool {
	return slices.ContainsFunc(mb.inputs, func(in Input) bool {
		d := mb.defs[in.Family]
		return !in.Gone && d.takes(mb.Live) && d.merged.Mode.PerProcess()
	})
}

// prepare places the new inputs of a member.
func (m *Merger) prepare(mb *Member) {
	if !mb.fresh {
		mb.placed, mb.counters, mb.terms, mb.gauges, mb.fresh = nil, nil, nil, map[*Series]int{}, true
	}
	for i := len(mb.placed); i < len(mb.inputs); i++ {
		in := &mb.inputs[i]
		d := mb.defs[in.Family]
		if in.Gone || in.Share || !d.takes(mb.Live) {
			mb.placed = append(mb.placed, nil)
			continue
		}
		m.reshare = true
		s := m.place(d, in.Values, mb.label)
		s.use(in.Created, in.Stamped)
		mb.placed = append(mb.placed, s)
		switch {
		case d.merged.counter():
			mb.counters = appendRun(mb.counters, s.slot, in.At)
			continue
		case d.merged.Mode.Valid():
			// A gauge deleted from its vec and made again has the value of the last input. Of
			// cumulative types both inputs count.
			if earlier, again := mb.gauges[s]; again {
				mb.terms[earlier].at = in.At
				continue
			}
			mb.gauges[s] = len(mb.terms)
		}
		mb.terms = appendTerm(mb.terms, d, s.slot, in.At)
	}
}

// place finds or makes the merged series of a definition with the label values. process is the
// value of the label "process", for modes with the label.
func (m *Merger) place(d *definition, values []string, process string) *Series {
	labels := sortedLabels(d.family, values, 1)
	if d.merged.names == mixedNames {
		labels = slices.DeleteFunc(labels, func(l layout.Label) bool { return l.Value == "" })
	}
	if d.merged.Mode.PerProcess() {
		l := layout.Label{Name: layout.ProcessLabel, Value: process}
		at, _ := slices.BinarySearchFunc(labels, l, compareName)
		labels = slices.Insert(labels, at, l)
	}
	key := seriesKey(d.merged.Name, labels)
	s := m.series[key]
	if s == nil {
		s = &Series{Labels: labels, Const: d.family.ConstLabels, family: d.merged, total: newTotal(d.merged.Type, len(d.merged.Bounds))}
		if d.merged.counter() {
			s.slot = m.slots.take()
		} else {
			s.slot = m.takeOther(s)
		}
		m.series[key] = s
		m.added = append(m.added, s)
	}
	return s
}

// sortedLabels are the labels of a series by name, const labels too, with room
// for so many more.
func sortedLabels(f *layout.Family, values []string, more int) []layout.Label {
	labels := make([]layout.Label, 0, len(values)+len(f.ConstLabels)+more)
	for i, v := range values {
		labels = append(labels, layout.Label{Name: f.LabelNames[i], Value: v})
	}
	labels = append(labels, f.ConstLabels...)
	slices.SortFunc(labels, compareName)
	return labels
}

func compareName(a, b layout.Label) int { return strings.Compare(a.Name, b.Name) }

// seriesKey is unique: 0xff is in no UTF-8 text. A label without a value is no label in the data
// model of Prometheus.
func seriesKey(name string, labels []layout.Label) string {
	n := len(name)
	for _, l := range labels {
		n += len(l.Name) + len(l.Value) + 2
	}
	b := make([]byte, 0, n)
	b = append(b, name...)
	for _, l := range labels {
		if l.Value == "" {
			continue
		}
		b = append(append(append(append(b, 0xff), l.Name...), 0xff), l.Value...)
	}
	return string(b)
}

// sweep drops the series of no member and no ledger entry, and finds the start timestamps of all
// other series.
func (m *Merger) sweep() {
	for _, s := range m.series {
		s.used = false
	}
	for mb := range m.members {
		for i, s := range mb.placed {
			if s != nil && !mb.inputs[i].Share {
				s.use(mb.inputs[i].Created, mb.inputs[i].Stamped)
			}
		}
	}
	for _, c := range m.carried {
		for _, e := range c.all {
			if e.series != nil && !e.Share() {
				e.series.use(e.Created, false)
			}
		}
	}
	unused := func(s *Series) bool {
		if s.used {
			return false
		}
		delete(m.series, seriesKey(s.family.Name, s.Labels))
		if s.family.counter() {
			m.slots.give(s.slot)
		} else {
			m.others[s.slot] = nil
			m.free = append(m.free, s.slot)
		}
		return true
	}
	for _, f := range m.families {
		f.Series = slices.DeleteFunc(f.Series, unused)
	}
	m.families = slices.DeleteFunc(m.families, func(f *Family) bool { return len(f.Series) == 0 })
	m.added = slices.DeleteFunc(m.added, unused)
}

// insert puts the new families and series in their places, without sorting all families and
// series: a process with many series that makes one more must stay cheap.
func (m *Merger) insert() {
	byFamily := map[*Family][]*Series{}
	for _, s := range m.added {
		byFamily[s.family] = append(byFamily[s.family], s)
	}
	var fresh []*Family
	for f, series := range byFamily {
		if len(f.Series) == 0 {
			fresh = append(fresh, f)
		}
		f.Series = mergeSorted(f.Series, series, compareLabels)
	}
	if len(fresh) > 0 {
		m.families = mergeSorted(m.families, fresh, func(a, b *Family) int { return strings.Compare(a.Name, b.Name) })
	}
}

// mergeSorted merges b, in any order, into the sorted a. mergeSorted sorts b.
func mergeSorted[T any](a, b []T, compare func(T, T) int) []T {
	slices.SortFunc(b, compare)
	out := make([]T, 0, len(a)+len(b))
	for len(b) > 0 {
		n, _ := slices.BinarySearchFunc(a, b[0], compare)
		out = append(append(out, a[:n]...), b[0])
		a, b = a[n:], b[1:]
	}
	return append(out, a...)
}

func compareLabels(a, b *Series) int {
	return slices.CompareFunc(a.Labels, b.Labels, func(x, y layout.Label) int {
		return cmp.Or(compareName(x, y), strings.Compare(x.Value, y.Value))
	})
}

// AddNative adds the native buckets of an input of a member. Call AddNative after Begin, like Add.
func (m *Merger) AddNative(mb *Member, input int, n *layout.Native) {
	if s := mb.placed[input]; s != nil && s.total.native != nil {
		s.total.native.Add(n)
	}
}

// Families returns the merged families, sorted by name, with their series, sorted by labels. The
// slices belong to the Merger and are valid until the next Begin.
func (m *Merger) Families() []*Family { return m.families }

// Conflicts returns the conflicting definitions of the members.
func (m *Merger) Conflicts() []Conflict { return m.conflicts }
