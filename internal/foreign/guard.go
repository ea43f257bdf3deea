package foreign

import (
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// guard stands between the mirror and a foreign collector. If a collector hangs or panics, the
// mirror shows the last metrics of the collector, and all other collectors go on.
type guard struct {
	collector prometheus.Collector
	id        string    // identity of the collector
	names     string    // the families of the collector, for an error
	complete  time.Time // before, the collector may lack parts

	collection *collection // belongs to the holder of the claim

	mu      sync.Mutex
	busy    bool          // somebody holds the claim
	whole   bool          // a look ended with a return of Collect, and the mirror has not taken it
	ended   bool          // a look ended since the last outcome
	failed  error         // error of the last look; the collection may still have metrics
	leftOut error         // why the mirror left a series of the last look out
	took    time.Duration // of the last look
}

// settling is how long a collector without descriptors is left alone after its registration, unless
// somebody asks for its metrics. The exporter of OpenTelemetry registers its collector before the
// collector is complete, and the program connects the exporter with its meters after that.
const settling = 100 * time.Millisecond

func newGuard(c prometheus.Collector) *guard {
	descs := Describe(c)
	g := &guard{collector: c, id: Identity(descs), names: namesOf(descs), collection: newCollection()}
	g.collection.vec = isVec(c)
	if len(descs) == 0 {
		g.complete = time.Now().Add(settling)
	}
	return g
}

// isVec reports whether a collector is a vec of client_golang, which shows the same metric for a
// series in each look.
func isVec(c prometheus.Collector) bool {
	switch c.(type) {
	case *prometheus.CounterVec, *prometheus.GaugeVec, *prometheus.HistogramVec, *prometheus.SummaryVec, *prometheus.MetricVec:
		return true
	}
	return false
}

// settled reports whether the collector is complete, as far as anybody can tell.
func (g *guard) settled() bool { return time.Now().After(g.complete) }

// claim claims the guard for a look, unless an earlier look is still running. slow reports
// whether the last look took longer than patience.
func (g *guard) claim(patience time.Duration) (free, slow bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.busy {
		return false, true
	}
	g.busy = true
	return true, g.took > patience
}

// abandon gives a claim back without a look.
func (g *guard) abandon() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.busy = false
}

// release ends a look with its result. returned reports whether the collector returned.
func (g *guard) release(returned bool, err error, took time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.busy, g.ended, g.whole, g.failed, g.took = false, true, returned, err, took
}

// claimWhole claims the guard if a look is to be taken.
func (g *guard) claimWhole() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.busy || !g.whole {
		return false
	}
	g.busy, g.whole = true, false
	return true
}

// taken gives the claim of claimWhole back, with the reason for which the mirror left a series out: a
// conflict with another collector, or a reader that would refuse the series.
func (g *guard) taken(leftOut error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.busy, g.leftOut = false, leftOut
}

// outcome returns the error of a look that ended since the last outcome.
func (g *guard) outcome() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.ended {
		return nil
	}
	g.ended = false
	return g.failed
}

// errPanicked is the error of a panic in foreign code.
type errPanicked struct{ value any }

func (e errPanicked) Error() string { return fmt.Sprintf("collector panicked: %v", e.value) }

func recovered(f func()) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = errPanicked{v}
		}
	}()
	f()
	return nil
}
