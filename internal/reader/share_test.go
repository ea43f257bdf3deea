//go:build unix

package reader

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/ownerfile"
)

// shares returns the first label values of the shares and of the series that a reader finds.
func shares(t *testing.T, f *File) (shares, series []string) {
	t.Helper()
	load(t, f)
	for _, e := range f.Entries() {
		switch {
		case e.Gone:
		case e.Share:
			shares = append(shares, e.Values[0])
		default:
			series = append(series, e.Values[0])
		}
	}
	return shares, series
}

func share(t *testing.T, p *ownerfile.File, r *ownerfile.Run, on bool) {
	t.Helper()
	for !p.AppendShare(r, on) {
		if err := p.Grow(); err != nil {
			t.Fatal(err)
		}
	}
	if r.Share() != on {
		t.Errorf("a share: %v, want %v", r.Share(), on)
	}
}

// A series becomes a share, and a series again; a share may leave. A reader that follows, and a new
// reader, find the same, in the log as it was written and in the log that was written anew.
func TestSharesOfAFile(t *testing.T) {
	p := owner(t)
	counters := appendFamily(t, p, &layout.Family{Type: layout.Counter, Name: "c_total", Help: "C.", LabelNames: []string{"a"}})
	runs := map[string]*ownerfile.Run{}
	for _, l := range []string{"a", "b", "c", "d"} {
		r := replace(t, p, nil, counters, l, 1, 0)
		runs[l] = &r
	}
	follows := open(t, p.Path())
	check := func(what string, wantShares, wantSeries []string) {
		t.Helper()
		if err := follows.Refresh(); errors.Is(err, ErrReplaced) {
			follows = open(t, p.Path())
		} else if err != nil {
			t.Fatal(err)
		}
		for name, f := range map[string]*File{"a reader that follows": follows, "a new reader": open(t, p.Path())} {
			gotShares, gotSeries := shares(t, f)
			if diff := cmp.Diff([][]string{wantShares, wantSeries}, [][]string{gotShares, gotSeries}); diff != "" {
				t.Errorf("%s: %s (-want +got):\n%s", what, name, diff)
			}
		}
	}
	check("before", nil, []string{"a", "b", "c", "d"})
	share(t, p, runs["a"], true)
	share(t, p, runs["b"], true)
	share(t, p, runs["c"], true)
	check("three shares", []string{"a", "b", "c"}, []string{"d"})
	share(t, p, runs["b"], false)
	if !p.AppendGone(*runs["c"], 1) {
		t.Fatal("no room for a gone record")
	}
	check("one is a series again, one is gone", []string{"a"}, []string{"b", "d"})
	generation := p.Header().Generation
	for n := 0; p.Header().Generation < generation+2; n++ {
		share(t, p, runs["d"], n%2 == 0)
		if err := p.Grow(); err != nil {
			t.Fatal(err)
		}
		if err := p.Rewrite(time.Now()); err != nil {
			t.Fatal(err)
		}
		if n > 10_000 {
			t.Fatal("the log is not written anew")
		}
	}
	share(t, p, runs["d"], true)
	check("written anew twice", []string{"a", "d"}, []string{"b"})
	share(t, p, runs["a"], false)
	check("a share of the log before is a series again", []string{"d"}, []string{"a", "b"})
}

// Shares that stay do not make the log look dead: it would be written anew for ever.
func TestLogOfSharesRests(t *testing.T) {
	p := owner(t)
	counters := appendFamily(t, p, &layout.Family{Type: layout.Counter, Name: "c_total", Help: "C.", LabelNames: []string{"a"}})
	for n := range 2000 {
		use := func(c []atomic.Uint64) { c[0].Store(1) }
		for {
			if _, ok := p.AppendDeleted(counters, 1, []string{fmt.Sprint(n)}, layout.CounterWords, use); ok {
				break
			}
			if err := p.Grow(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 3 {
		if err := p.Rewrite(time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if n := p.Header().Generation; n != 0 {
		t.Errorf("the log was written anew %d times", n)
	}
	f := open(t, p.Path())
	if got, series := shares(t, f); len(got) != 2000 || len(series) != 0 {
		t.Errorf("%d shares and %d series, want 2000 and none", len(got), len(series))
	}
}

// A share of a gauge is damage: nobody adds gauges up by shares.
func TestShareOfAGauge(t *testing.T) {
	p := owner(t)
	gauges := appendFamily(t, p, &layout.Family{Type: layout.Gauge, Mode: layout.LiveSum, Name: "g", Help: "G.", LabelNames: []string{"a"}})
	r := replace(t, p, nil, gauges, "x", layout.EncodeGauge(1))
	share(t, p, &r, true)
	if _, err := Open(p.Path()); !errors.Is(err, layout.ErrDamaged) {
		t.Errorf("error %v, want %v", err, layout.ErrDamaged)
	}
}
