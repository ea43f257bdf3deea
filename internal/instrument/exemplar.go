package instrument

import (
	"fmt"
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
)

// Exemplars stay on the heap: the newest exemplar of each counter and of each bucket.
// They are written into the file with the mirrored families: SIGKILL loses the exemplars
// of the last interval, never a count.

// newExemplar makes an exemplar, nil without labels. newExemplar panics for labels that
// no exposition can hold, as client_golang does.
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

// exemplars are the exemplars of one instrument.
type exemplars struct {
	// newest has one slot for a counter, and one for each bucket of a histogram. nil
	// until the first exemplar. Written once.
	newest atomic.Pointer[[]atomic.Pointer[dto.Exemplar]]
}

// set keeps an exemplar, nil for none, as the newest of so many slots.
func (x *exemplars) set(i exemplared, slot, slots int, e *dto.Exemplar) {
	if e == nil {
		return
	}
	all := x.newest.Load()
	if all == nil {
		fresh := make([]atomic.Pointer[dto.Exemplar], slots)
		if x.newest.CompareAndSwap(nil, &fresh) {
			if list := i.Base().Family.exemplars.Load(); list != nil {
				list.add(i)
			}
		}
		all = x.newest.Load()
	}
	(*all)[slot].Store(e)
}

// get returns the newest exemplar, nil for none.
func (x *exemplars) get(slot int) *dto.Exemplar {
	if all := x.newest.Load(); all != nil {
		return (*all)[slot].Load()
	}
	return nil
}

// exemplared is an instrument with exemplars.
type exemplared interface {
	Instrument
	// bound is the upper bound of the bucket of an exemplar, NaN for a counter.
	bound(slot int) float64
	own() *exemplars
}

// ExemplarList lists the instruments that have exemplars. The list drops an instrument
// that was deleted, also when the first exemplar came after the deletion: the cells of an
// instrument are used again once no pointer leads to the instrument.
type ExemplarList struct {
	mu     sync.Mutex // no other lock is taken while mu is held
	all    []exemplared
	closed bool // no process sees exemplars any more
}

func (l *ExemplarList) add(i exemplared) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed && !i.Base().Gone() {
		l.all = append(l.all, i)
	}
}

// forgetGone drops the instruments that were deleted.
func (l *ExemplarList) forgetGone() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = slices.DeleteFunc(l.all, func(i exemplared) bool { return i.Base().Gone() })
}

// close drops all instruments.
func (l *ExemplarList) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all, l.closed = nil, true
}

// Exemplar is the newest exemplar of a counter or of a bucket.
type Exemplar struct {
	Series *Series
	Bound  float64 // upper bound of the bucket, NaN for a counter
	*dto.Exemplar
}

// All returns the exemplars of the series for which shown reports true.
func (l *ExemplarList) All(shown func(*Series) bool) (out []Exemplar) {
	l.forgetGone()
	l.mu.Lock()
	all := slices.Clone(l.all)
	l.mu.Unlock()
	for _, i := range all {
		if !shown(i.Base()) {
			continue
		}
		for slot := range *i.own().newest.Load() {
			if e := i.own().get(slot); e != nil {
				out = append(out, Exemplar{i.Base(), i.bound(slot), e})
			}
		}
	}
	return out
}
