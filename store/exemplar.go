package store

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/mirror"
)

// Exemplars stay on the heap, the newest of each counter and bucket, and are
// written into the file with the mirror: at SIGKILL those of the last interval are
// lost, never a count.

// newExemplar makes an exemplar, nil without labels. It panics for labels that no
// exposition can hold, as client_golang does.
func newExemplar(v float64, labels prometheus.Labels) *dto.Exemplar {
	if labels == nil {
		return nil
	}
	e := &dto.Exemplar{Value: &v, Timestamp: timestamppb.New(time.Now())}
	runes := 0
	for name, value := range labels {
		if !model.UTF8Validation.IsValidLabelName(name) || strings.HasPrefix(name, model.ReservedLabelPrefix) {
			panic(fmt.Errorf("exemplar label name %q is invalid", name))
		}
		if !utf8.ValidString(value) {
			panic(fmt.Errorf("exemplar label value %q is not valid UTF-8", value))
		}
		runes += utf8.RuneCountInString(name) + utf8.RuneCountInString(value)
		e.Label = append(e.Label, &dto.LabelPair{Name: &name, Value: &value})
	}
	if runes > prometheus.ExemplarMaxRunes {
		panic(fmt.Errorf("exemplar labels have %d runes, exceeding the limit of %d", runes, prometheus.ExemplarMaxRunes))
	}
	slices.SortFunc(e.Label, func(a, b *dto.LabelPair) int { return strings.Compare(a.GetName(), b.GetName()) })
	return e
}

// exemplars are those of one instrument.
type exemplars struct {
	// newest has one for a counter, and one for each bucket of a histogram. nil
	// until there is the first. Written once.
	newest atomic.Pointer[[]atomic.Pointer[dto.Exemplar]]
}

// set keeps an exemplar, nil for none, as the newest of so many.
func (x *exemplars) set(i exemplared, slot, slots int, e *dto.Exemplar) {
	if e == nil {
		return
	}
	all := x.newest.Load()
	if all == nil {
		fresh := make([]atomic.Pointer[dto.Exemplar], slots)
		if x.newest.CompareAndSwap(nil, &fresh) {
			if s := i.base().family.store.Load(); s != nil && s.backend.shared() {
				s.mirror.exemplars.add(i)
			}
		}
		all = x.newest.Load()
	}
	(*all)[slot].Store(e)
}

// get is the newest exemplar, nil for none.
func (x *exemplars) get(slot int) *dto.Exemplar {
	if all := x.newest.Load(); all != nil {
		return (*all)[slot].Load()
	}
	return nil
}

// exemplared is an instrument that has exemplars.
type exemplared interface {
	instrument
	// bound is the upper bound of the bucket of an exemplar, NaN for a counter.
	bound(slot int) float64
	own() *exemplars
}

// exemplarList are the instruments that have any. It lets go of those that were
// deleted, also of one that got its first exemplar afterwards: the cells of an
// instrument are used again once nothing leads to it.
type exemplarList struct {
	mu  sync.Mutex // never held over anything else
	all []exemplared
}

func (l *exemplarList) add(i exemplared) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, i)
}

// collect adds the exemplars of all series that a backend shows to those of families
// by name.
func (l *exemplarList) collect(shows func(*series) bool, byName map[string][]mirror.Exemplar) {
	l.mu.Lock()
	l.all = slices.DeleteFunc(l.all, func(i exemplared) bool { return i.base().gone.Load() })
	all := slices.Clone(l.all)
	l.mu.Unlock()
	for _, i := range all {
		b := i.base()
		if !shows(b) {
			continue
		}
		labels := labelsOf(b.labelPairs())
		for slot := range *i.own().newest.Load() {
			if e := i.own().get(slot); e != nil {
				name := b.family.def.Name
				byName[name] = append(byName[name], mirror.Exemplar{Labels: labels, Bound: i.bound(slot), Exemplar: e})
			}
		}
	}
}

// ofMirrored adds the exemplars of a family of a collector that is not ours.
func ofMirrored(f *dto.MetricFamily, byName map[string][]mirror.Exemplar) {
	for _, m := range f.Metric {
		add := func(bound float64, native bool, e *dto.Exemplar) {
			if e != nil {
				byName[f.GetName()] = append(byName[f.GetName()], mirror.Exemplar{Labels: labelsOf(m.Label), Bound: bound, Native: native, Exemplar: e})
			}
		}
		add(math.NaN(), false, m.GetCounter().GetExemplar())
		for _, b := range m.GetHistogram().GetBucket() {
			add(b.GetUpperBound(), false, b.GetExemplar())
		}
		for _, e := range m.GetHistogram().GetExemplars() {
			add(math.NaN(), true, e)
		}
	}
}

func labelsOf(pairs []*dto.LabelPair) []layout.Label {
	labels := make([]layout.Label, len(pairs))
	for i, l := range pairs {
		labels[i] = layout.Label{Name: l.GetName(), Value: l.GetValue()}
	}
	return labels
}
