package collector_test

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/internal/testing/promtest"
	"github.com/mpmetrics/mpmetrics/store"
)

func init() { programs["service"] = service }

// service is a service with few descriptors, which takes descriptors for connections and gives them
// back, and is scraped in between.
func service(c *child) {
	taken := []int{}
	r := prometheus.NewRegistry()
	for line, ok := c.wait(); ok; line, ok = c.wait() {
		what, arg, _ := strings.Cut(line, " ")
		n, _ := strconv.Atoi(arg)
		switch what {
		case "limit":
			if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(n), Max: uint64(n)}); err != nil {
				c.say("%v", err)
				return
			}
		case "collect":
			r.MustRegister(collector.New(collector.Opts{Logger: slog.New(slog.DiscardHandler)}))
			store.NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "h"}).Inc()
		case "take":
			for got := 0; got < n; got++ {
				fd, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 0)
				if err != nil {
					break
				}
				taken = append(taken, fd)
			}
		case "give":
			for range min(n, len(taken)) {
				unix.Close(taken[0])
				taken = taken[1:]
			}
		case "scrape":
			families, err := r.Gather()
			if err != nil {
				c.say("%v", err)
				return
			}
			got := promtest.Flatten(families)
			c.say("up %v, c_total %v", got["mpmetrics_up"], got["c_total"])
			continue
		}
		c.say("%s: %d taken", what, len(taken))
	}
}

// A service of 56 descriptors has hundreds of processes. A scrape is complete, whatever the service
// has taken, and leaves almost all descriptors to the service.
func TestFewDescriptors(t *testing.T) {
	const (
		processes = 200
		limit     = 56
		living    = 170         // in the end
		ours      = limit/8 + 6 // the share of the collector; the runtime, and the file of the process
	)
	dir := t.TempDir()
	writers, counters := make([]*writer, processes), make([]prometheus.Counter, processes)
	for i := range counters {
		writers[i] = open(t, dir, strconv.Itoa(i))
		counters[i] = writers[i].NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "h"})
	}
	total := 1
	count := func() {
		for _, c := range counters {
			c.Inc()
		}
		total += len(counters)
	}
	p := spawn(t, "service", store.EnvDir+"="+dir)
	do := func(what string) string {
		t.Helper()
		p.Tell(what)
		return p.Line()
	}
	scrape := func(when string) {
		t.Helper()
		count()
		if got, want := do("scrape"), fmt.Sprintf("up 1, c_total %d", total); got != want {
			t.Errorf("%s: %s, want %s", when, got, want)
		}
	}
	do(fmt.Sprintf("limit %d", limit))
	var without int
	if _, err := fmt.Sscanf(do("take 56"), "take: %d taken", &without); err != nil {
		t.Fatal(err)
	}
	do("give 56")
	needed := without - ours
	takes := func(when string, n int) {
		t.Helper()
		if got, want := do(fmt.Sprintf("take %d", n)), fmt.Sprintf("take: %d taken", needed); got != want {
			t.Errorf("%s: %s, want %s", when, got, want)
		}
	}
	do("collect")
	scrape("the first scrape")
	scrape("the second scrape")
	takes("after two scrapes", needed)
	scrape("while the service has many connections")
	do("give 30")
	scrape("while the service has few connections")
	takes("after a scrape", 30)
	scrape("again with many connections")
	do("take 56")
	scrape("while the service has taken every descriptor")
	scrape("once more")
	for _, w := range writers[living:] {
		w.die()
	}
	counters = counters[:living]
	scrape("after the death of some processes")
	scrape("once more, with an absorption that has no descriptor")
	do("give 10")
	scrape("after a pause")
	do("limit 40")
	scrape("with a lower limit, all of which the service has")
	do("limit 20")
	scrape("with an even lower limit")
	do("give 56")
	scrape("after all connections have ended")
}
