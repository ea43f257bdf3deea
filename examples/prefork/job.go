package main

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/store"
)

// The metrics of a batch job, the other kind of process that counts into the directory. Workers
// never use the metrics, and have no series of them, because all metrics are vecs: a job lives for
// a moment, and afterwards only its file has its counts.
var (
	billedOrders = store.NewCounterVec(prometheus.CounterOpts{
		Name: "billing_orders_total",
		Help: "Orders billed, by all jobs that ever ran.",
	}, []string{"payment"})

	billedEuros = store.NewCounterVec(prometheus.CounterOpts{
		Name: "billing_euros_total",
		Help: "Amounts of the orders billed.",
	}, []string{"payment"})

	billingDuration = store.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "billing_order_duration_seconds",
		Help:    "Time to bill an order.",
		Buckets: prometheus.ExponentialBuckets(1e-6, 10, 6),
	}, []string{"payment"})
)

// order is an order that a job has to bill.
type order struct {
	payment string
	euros   float64
}

// bill is the life of one job: bill bills the orders in arguments such as card=0.1 and returns. A
// job pushes nothing: its counts stay. In a directory the counts stay with or without Close, on a
// server after Close.
func bill(arguments []string) error {
	var orders []order
	for _, argument := range arguments {
		o, err := parseOrder(argument)
		if err != nil {
			return err
		}
		orders = append(orders, o)
	}
	for _, o := range orders {
		begin := time.Now()
		billedEuros.WithLabelValues(o.payment).Add(o.euros)
		billedOrders.WithLabelValues(o.payment).Inc()
		billingDuration.WithLabelValues(o.payment).Observe(time.Since(begin).Seconds())
	}
	return nil
}

func parseOrder(argument string) (order, error) {
	payment, amount, _ := strings.Cut(argument, "=")
	euros, err := strconv.ParseFloat(amount, 64)
	if err != nil {
		return order{}, fmt.Errorf("order %q, want payment=euros: %w", argument, err)
	}
	if !(euros >= 0) || math.IsInf(euros, 0) {
		return order{}, fmt.Errorf("order %q: not a payable amount", argument)
	}
	return order{payment: payment, euros: euros}, nil
}

// crash ends the process like the kernel does when memory runs out: no code of the process runs
// afterwards.
func crash() error {
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		return fmt.Errorf("crash: %w", err)
	}
	if err := self.Kill(); err != nil {
		return fmt.Errorf("crash: %w", err)
	}
	select {} // the signal is on its way
}
