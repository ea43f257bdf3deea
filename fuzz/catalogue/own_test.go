//go:build linux

package catalogue

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/store"
)

// shop is the code of a user; docs/collectors.md has this file as a recipe.
type shop struct{ orders *prometheus.CounterVec }

func newShop(s *store.Store) *shop {
	return &shop{s.NewCounterVec(prometheus.CounterOpts{Name: "shop_orders_total", Help: "Orders."}, []string{"payment"})}
}

func (s *shop) order(payment string) { s.orders.WithLabelValues(payment).Inc() }

func TestOrders(t *testing.T) {
	s, err := store.Open(store.Opts{Location: "memory:"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	newShop(s).order("card")
	c := collector.New(collector.Opts{Store: s})
	defer c.Close()
	want := `
		# HELP shop_orders_total Orders.
		# TYPE shop_orders_total counter
		shop_orders_total{payment="card"} 1
	`
	if err := testutil.CollectAndCompare(c, strings.NewReader(want), "shop_orders_total"); err != nil {
		t.Error(err)
	}
}

func TestOrdersOfTwoProcesses(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		s, err := store.Open(store.Opts{Location: dir})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		newShop(s).order("card")
	}
	c := collector.New(collector.Opts{Location: dir})
	defer c.Close()
	want := `
		# HELP shop_orders_total Orders.
		# TYPE shop_orders_total counter
		shop_orders_total{payment="card"} 2
	`
	if err := testutil.CollectAndCompare(c, strings.NewReader(want), "shop_orders_total"); err != nil {
		t.Error(err)
	}
}
