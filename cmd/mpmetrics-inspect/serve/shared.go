package serve

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// shared gathers once for all waiting scrapes: many Prometheus servers cost little more than one.
// A scrape only gets a gathering that began after the scrape, and so all counts from before the
// scrape.
type shared struct {
	gatherer prometheus.Gatherer

	turn sync.Mutex // held during a gathering

	mu      sync.Mutex // guards waiting
	waiting *gathering // next gathering; nil: no scrape waits
}

// gathering is one result for all waiting scrapes.
type gathering struct {
	done     chan struct{}
	families []*dto.MetricFamily
	err      error
}

// Gather implements prometheus.Gatherer. The families belong to all callers.
func (s *shared) Gather() ([]*dto.MetricFamily, error) {
	s.mu.Lock()
	g, first := s.waiting, false
	if g == nil {
		g, first = &gathering{done: make(chan struct{})}, true
		s.waiting = g
	}
	s.mu.Unlock()
	if !first {
		<-g.done
		return g.families, g.err
	}
	s.turn.Lock()
	defer s.turn.Unlock()
	s.mu.Lock()
	s.waiting = nil // later scrapes wait for the next gathering
	s.mu.Unlock()
	defer close(g.done)
	g.families, g.err = s.gatherer.Gather()
	return g.families, g.err
}
