//go:build unix

package redis

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
	"github.com/mpmetrics/mpmetrics/internal/publisher"
	"github.com/mpmetrics/mpmetrics/internal/remote"
	"github.com/mpmetrics/mpmetrics/internal/scan"
	"github.com/mpmetrics/mpmetrics/internal/serverview"
	"github.com/mpmetrics/mpmetrics/internal/testing/redisserver"
)

func connect(t testing.TB, location string) remote.Server {
	t.Helper()
	u, err := url.Parse(location)
	if err != nil {
		t.Fatal(err)
	}
	s, err := open(u, slog.Default())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// process publishes one counter, as a process does.
type process struct {
	*publisher.Publisher
	whole, float atomic.Uint64
}

var counterFamily = &layout.Family{Type: layout.Counter, Name: "c_total", Help: "h", LabelNames: []string{"l"}}

func newProcess(t testing.TB, location string, live time.Duration) *process {
	t.Helper()
	p := &process{}
	p.Publisher = publisher.NewPublisher(connect(t, location), layout.Header{PID: 1, ID: layout.NewID(), PageSize: layout.PageSize, Process: "p"}, live)
	p.Add(publisher.NewSeries(counterFamily, []string{"x"}, func() int64 { return 1 }, func(words []uint64) {
		words[0], words[1] = p.whole.Load(), p.float.Load()
	}), nil)
	return p
}

func (p *process) add(v float64) {
	p.whole.Add(1)
	p.float.Store(math.Float64bits(math.Float64frombits(p.float.Load()) + v))
}

func (p *process) flush(t testing.TB) {
	t.Helper()
	if err := p.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// reader is a collector's part that reads.
type reader struct {
	scanner *scan.Scanner
	merger  *merge.Merger
}

func newReader(t testing.TB, location string) *reader {
	t.Helper()
	r := &reader{merger: merge.New()}
	r.scanner = scan.New(&serverview.Source{Server: connect(t, location)}, r.merger, slog.New(slog.DiscardHandler), func(error) {})
	t.Cleanup(r.scanner.Close)
	return r
}

func (r *reader) total(t testing.TB) float64 {
	t.Helper()
	if err := r.scanner.Merge(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, f := range r.merger.Families() {
		if f.Name == counterFamily.Name {
			return r.merger.Counter(f.Series[0])
		}
	}
	return -1
}

// A process that is absorbed while it was only stopped goes on with what it has beyond
// that: no total doubles, dips or loses a bit, at any step.
func TestAbsorbedAndBack(t *testing.T) {
	location := redisserver.Start(t).URL("namespace=shop")
	a, b := newProcess(t, location, time.Minute), newProcess(t, location, 50*time.Millisecond)
	r := newReader(t, location)
	want := 0.0
	count := func(p *process, v float64) {
		p.add(v)
		want += 1 + v
	}
	check := func(what string) {
		t.Helper()
		if got := r.total(t); got != want {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	count(a, 0.5)
	count(b, 0.25)
	a.flush(t)
	b.flush(t)
	check("both")
	for round := range 3 {
		before := want
		b.add(0.125) // not published before it is absorbed
		time.Sleep(60 * time.Millisecond)
		check("one is late")
		report, err := compact.Run(context.Background(), location, compact.Opts{})
		if err != nil || report.Absorbed != 1 {
			t.Fatalf("round %d: absorbed %d, %v", round, report.Absorbed, err)
		}
		check("one is absorbed")
		want = before + 1.125
		b.flush(t)
		check("it is back")
		count(b, 0.0625)
		b.flush(t)
		check("and counts")
	}
	if got := newReader(t, location).total(t); got != want {
		t.Errorf("who reads for the first time: %v, want %v", got, want)
	}
	if err := b.End(context.Background()); err != nil {
		t.Fatal(err)
	}
	check("one has ended")
	if report, err := compact.Run(context.Background(), location, compact.Opts{}); err != nil || report.Absorbed != 1 {
		t.Errorf("absorbed %d, %v", report.Absorbed, err)
	}
	check("and is absorbed")
}

// Whatever a server loses is there again with the next flush.
func TestLost(t *testing.T) {
	server := redisserver.Start(t)
	location := server.URL("")
	p := newProcess(t, location, time.Minute)
	p.add(0.5)
	p.flush(t)
	lose := map[string]func(){
		"everything":  func() { server.Do("flushall") },
		"the scripts": func() { server.Do("script", "flush") },
		"the header":  func() { server.Do("eval", `redis.call("del", unpack(redis.call("keys", "*:header")))`, "0") },
		"the values":  func() { server.Do("eval", `redis.call("del", unpack(redis.call("keys", "*:values")))`, "0") },
		"the archive": func() { server.Do("eval", `redis.call("del", unpack(redis.call("keys", "*:archive")))`, "0") },
		"the sequence": func() {
			server.Do("eval", `for _, k in ipairs(redis.call("keys", "*:header")) do redis.call("hset", k, "sequence", "1") end`, "0")
		},
	}
	for what, do := range lose {
		t.Run(what, func(t *testing.T) {
			do()
			p.add(0.5)
			p.flush(t)
			want := 1.5 * float64(p.whole.Load())
			if got := newReader(t, location).total(t); got != want {
				t.Errorf("%v, want %v", got, want)
			}
		})
	}
}

// A process is many series, of all types, that come and go.
func TestManySeries(t *testing.T) {
	location := redisserver.Start(t).URL("")
	p := newProcess(t, location, time.Minute)
	r := newReader(t, location)
	f := &layout.Family{Type: layout.Histogram, Name: "h", Help: "h", LabelNames: []string{"l"}, Bounds: []float64{1, 2}}
	var all []*publisher.Series
	for round := range 5 {
		for i := range 1000 {
			s := publisher.NewSeries(f, []string{fmt.Sprint(round, "/", i)}, func() int64 { return 1 }, func(words []uint64) {
				copy(words, []uint64{3, math.Float64bits(4.5), 1, 1, 1})
			})
			p.Add(s, nil)
			all = append(all, s)
		}
		for range 700 {
			p.Remove(all[0])
			all = all[1:]
		}
		p.flush(t)
		r.total(t)
		got := 0
		for _, family := range r.merger.Families() {
			if family.Name == "h" {
				got = len(family.Series)
			}
		}
		if got != len(all) {
			t.Fatalf("round %d: %d series, want %d", round, got, len(all))
		}
	}
}
