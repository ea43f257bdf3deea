package serve

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// shared gathers once for all scrapes that wait for their turn: many Prometheus servers
// cost little more than one. A scrape never gets what was gathered before it began, and
// so has all that was counted by then.
type shared struct {
	gatherer prometheus.Gatherer

	turn sync.Mutex // held while somebody gathers

	mu      sync.Mutex // guards waiting
	waiting *gathering // that begins next; nil: nobody waits for it
}

// gathering is one result for all who wait for it.
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
	s.waiting = nil // who comes from now on waits for the next one
	s.mu.Unlock()
	defer close(g.done)
	g.families, g.err = s.gatherer.Gather()
	return g.families, g.err
}
