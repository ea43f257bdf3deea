package foreign

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/internal/instrument"
)

// fresh lists the series of own native histograms that were made since the last flush. A series
// that was deleted and made again starts at zero. A reset series, by contrast, goes on from the
// last shown value.
type fresh struct {
	mu    sync.Mutex // no other lock is taken while mu is held
	all   []freshSeries
	ended bool // the store is closed: no flush will take any
}

type freshSeries struct {
	family, key string // key is the beginning of a seriesKey
	time        time.Time
}

// Fresh notes that a series of an own native histogram is about to be made.
func (m *Mirror) Fresh(f *instrument.Family, values []string) {
	if !m.Place.Shared() {
		return
	}
	s := freshSeries{f.Def.Name, labelsKey(prometheus.MakeLabelPairs(f.Desc, values)), time.Now()}
	m.fresh.mu.Lock()
	defer m.fresh.mu.Unlock()
	if !m.fresh.ended {
		m.fresh.all = append(m.fresh.all, s)
	}
}

// end forgets all series, and takes no more.
func (n *fresh) end() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all, n.ended = nil, true
}

// take returns the fresh series that are among the gathered series, as their start
// timestamps tell. The other fresh series are kept for the next time.
func (n *fresh) take(families []*dto.MetricFamily) []freshSeries {
	n.mu.Lock()
	all := n.all
	n.all = nil
	n.mu.Unlock()
	if len(all) == 0 {
		return nil
	}
	began := map[[2]string]time.Time{}
	for _, f := range families {
		for _, m := range f.Metric {
			if h := m.GetHistogram(); h != nil {
				began[[2]string{f.GetName(), labelsKey(m.Label)}] = h.GetCreatedTimestamp().AsTime()
			}
		}
	}
	var there, later []freshSeries
	for _, s := range all {
		if t, ok := began[[2]string{s.family, s.key}]; ok && !t.Before(s.time) {
			there = append(there, s)
		} else if ok || time.Since(s.time) < time.Minute {
			later = append(later, s)
		}
	}
	n.mu.Lock()
	n.all = append(later, n.all...)
	n.mu.Unlock()
	return there
}
