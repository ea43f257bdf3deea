//go:build unix

package collector_test

import (
	"strconv"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"
)

// Far more files than descriptors are kept: those beyond are opened again at
// each scrape.
func TestManyFiles(t *testing.T) {
	const (
		processes = 120
		limit     = 480 // of which an eighth is kept
	)
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	lower := before
	lower.Cur = limit
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &lower); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Setrlimit(unix.RLIMIT_NOFILE, &before) }()
	dir := t.TempDir()
	var counters []prometheus.Counter
	for i := range processes {
		counters = append(counters, open(t, dir, strconv.Itoa(i)).NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "h"}))
	}
	own := descriptors(t)
	r := registryOf(t, dir)
	for round := 1.0; round <= 3; round++ {
		for _, c := range counters {
			c.Inc()
		}
		equal(t, "merged", scrape(t, r), samples{"c_total": round * processes})
	}
	if n := descriptors(t) - own; n > limit/8 {
		t.Errorf("%d descriptors are kept, want at most %d", n, limit/8)
	}
}
