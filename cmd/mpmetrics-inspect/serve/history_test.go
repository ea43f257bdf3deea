package serve

import (
	"fmt"
	"runtime"
	"testing"
	"time"
)

// Charts hold at most 16 MiB, whatever is looked at, and the family that was looked at last keeps
// its chart.
func TestHistoryIsBounded(t *testing.T) {
	const most = 16 << 20
	for _, c := range []struct {
		name                 string
		processes, leave     int // leave: so many are replaced by others before each sample
		interval, looked     time.Duration
		families, leastLines int
	}{
		{name: "many processes", processes: 5000, interval: 2 * time.Second, looked: keptFor, families: maxWatched, leastLines: 5000},
		{name: "many looks a second", processes: 1000, interval: MinInterval, looked: 2 * time.Minute, families: maxWatched, leastLines: 1000},
		{name: "processes that come and go", processes: 2000, leave: 500, interval: 2 * time.Second, looked: keptFor, families: 3, leastLines: 1500},
		{name: "one family of more processes than fit", processes: 30_000, interval: 2 * time.Second, looked: keptFor, families: 1, leastLines: 30_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := history{families: map[string]*watched{}}
			now := time.Unix(1e9, 0)
			var last string
			for i := range c.families {
				last = fmt.Sprint("family", i)
				h.ask(last, now.Add(time.Duration(i)*time.Millisecond))
			}
			first := 0
			before := heap()
			for at := time.Duration(0); at < c.looked; at += c.interval {
				now = now.Add(c.interval)
				totals := make(map[string]float64, c.processes)
				for i := range c.processes {
					totals[fmt.Sprintf("%d-0123456789abcdef0123456789.mpm", first+i)] = at.Seconds()
				}
				first += c.leave
				h.add(now, func(string) map[string]float64 { return totals })
				if n := h.words(); n > maxWords {
					t.Fatalf("%d words after %v, want at most %d", n, at, maxWords)
				}
			}
			// The sizes of what is held, and not what a measurement happens to find, is the bound; the
			// heap says that nothing else is held.
			if held := heap() - before; held > most {
				t.Errorf("%d bytes are held, want at most %d", held, most)
			}
			all, from, to := h.of(last)
			if len(all) < c.leastLines || to.Sub(from) < 10*time.Second {
				t.Errorf("%d lines of %v, want %d", len(all), to.Sub(from), c.leastLines)
			}
			runtime.KeepAlive(h)
		})
	}
}

func heap() int64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}
