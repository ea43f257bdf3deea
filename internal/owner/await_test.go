//go:build unix

package owner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/internal/instrument"
	"github.com/mpmetrics/mpmetrics/internal/testing/promtest"
)

// many is more than the first slabs have room for, and as many again.
const many = 5000

type noHost struct{}

func (noHost) Absorb(context.Context, int) {}
func (noHost) Mirrors() bool               { return false }

// burst is a place with a family, for series in a row.
type burst struct {
	*Place
	family *instrument.Family
	made   int
}

func newBurst(t *testing.T) *burst {
	t.Helper()
	c := instrument.NewCatalog(100 * many)
	p := New(Config{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler), Tick: time.Hour, Now: time.Now, NoAbsorption: true, Host: noHost{}}, c)
	c.Use(p)
	if err := p.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.Start()
	b := &burst{Place: p, family: instrument.CounterFamily(prometheus.CounterOpts{Name: "c", Help: "h"}, prometheus.UnconstrainedLabels{"n"})}
	return b
}

// make makes many series, and returns how many were published at once.
func (b *burst) make() (published int) {
	for range many {
		b.made++
		c := b.family.NewCounter(fmt.Sprint(b.made))
		b.catalog.Start(c)
		if b.Shows(c.Base()) {
			published++
		}
	}
	return published
}

func (b *burst) close(t *testing.T) {
	t.Helper()
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// Each series of a burst is published when its constructor returns.
func TestBurstIsPublished(t *testing.T) {
	b := newBurst(t)
	defer b.close(t)
	if n := b.make(); n != many {
		t.Errorf("%d of %d are published at once", n, many)
	}
}

// While the background work is stuck a series waits in vain, once. When the background work goes on,
// everything is published, and series wait again.
func TestBurstMeetsAStuckFileSystem(t *testing.T) {
	b := newBurst(t)
	defer b.close(t)
	b.maintaining.Lock()
	n := b.make()
	b.mu.Lock()
	stuck := b.stuck
	b.mu.Unlock()
	b.maintaining.Unlock()
	if n == many || !stuck {
		t.Errorf("%d of %d are published, stuck is %v", n, many, stuck)
	}
	promtest.Eventually(t, "all are published", func() bool { return b.Pending() == 0 })
	if n := b.make(); n != many {
		t.Errorf("afterwards %d of %d are published at once", n, many)
	}
}

// Without room no series waits, because the file system is full or the file is missing.
func TestBurstWithoutRoom(t *testing.T) {
	for name, without := range map[string]func(*burst){
		"full":    func(b *burst) { b.note(errors.New("no space")) },
		"missing": func(b *burst) { b.part.Store(nil) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBurst(t)
			defer b.close(t)
			b.maintaining.Lock()
			file := b.part.Load()
			without(b)
			n := b.make()
			b.mu.Lock()
			stuck := b.stuck
			b.mu.Unlock()
			b.part.Store(file)
			b.maintaining.Unlock()
			if n == many || stuck {
				t.Errorf("%d of %d are published, stuck is %v", n, many, stuck)
			}
		})
	}
}

// A series that waits for room does not outlast the place.
func TestBurstMeetsClose(t *testing.T) {
	b := newBurst(t)
	b.maintaining.Lock()
	made := make(chan struct{})
	go func() {
		defer close(made)
		b.make()
	}()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		b.close(t)
	}()
	<-made
	b.maintaining.Unlock()
	<-closed
}
