package main

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/store"
)

// worker is a process that counts. Its arguments, and then the lines of its
// standard input, are updates:
//
//	counter:orders_total{payment=card}=3
//	gauge.max:temperature=5
//	histogram:latency_seconds=0.2
//	native:wait_seconds=0.3
//	summary:size_bytes=100
//	mirrored:jobs_total=4
//	quantiles:took_seconds=0.1    mirrored without its quantiles
//	function:lag_total=-1         a mirrored counter of any value
//
// It answers "ok" when it has done the arguments, and each line. A label value may
// stand in quotes, as in Go.
func worker() {
	s, err := store.Open(store.Opts{Logger: slog.New(slog.DiscardHandler), MaxSeries: 200_000, FlushInterval: 200 * time.Millisecond})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	w := &updates{store: s, vecs: map[string]func(values []string, v float64){}}
	w.apply(os.Args[1:])
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		w.apply(strings.Split(in.Text(), "\x00"))
	}
}

type updates struct {
	store *store.Store
	vecs  map[string]func(values []string, v float64)
}

func (w *updates) apply(all []string) {
	for _, u := range all {
		if err := w.one(u); err != nil {
			fmt.Println(err)
			return
		}
	}
	_ = w.store.Flush(context.Background())
	fmt.Println("ok")
}

func (w *updates) one(u string) error {
	kind, rest, _ := strings.Cut(u, ":")
	if kind == "many" {
		// many:NAME=N makes N series of a counter.
		name, n, _ := strings.Cut(rest, "=")
		count, err := strconv.Atoi(n)
		for i := 0; i < count && err == nil; i++ {
			err = w.update("counter", name, []string{"n"}, []string{strconv.Itoa(i)}, 1)
		}
		return err
	}
	at := strings.LastIndexByte(rest, '=')
	if at < 0 {
		return fmt.Errorf("bad update %q", u)
	}
	v, err := strconv.ParseFloat(rest[at+1:], 64)
	if err != nil {
		return err
	}
	name, inner, _ := strings.Cut(rest[:at], "{")
	var labels, values []string
	if inner = strings.TrimSuffix(inner, "}"); inner != "" {
		for pair := range strings.SplitSeq(inner, ",") {
			l, value, _ := strings.Cut(pair, "=")
			if strings.HasPrefix(value, `"`) {
				if value, err = strconv.Unquote(value); err != nil {
					return err
				}
			}
			labels, values = append(labels, l), append(values, value)
		}
	}
	return w.update(kind, name, labels, values, v)
}

// help is the text of the families; another program says something else.
func help(name string) string {
	if h := os.Getenv("WORKER_HELP"); h != "" {
		return h
	}
	return "What " + name + " is."
}

func (w *updates) update(kind, name string, labels, values []string, v float64) error {
	if known := w.vecs[name]; known != nil {
		known(values, v)
		return nil
	}
	kind, mode, _ := strings.Cut(kind, ".")
	update, err := w.make(kind, mode, name, labels)
	if err != nil {
		return err
	}
	w.vecs[name] = update
	update(values, v)
	return nil
}

func (w *updates) make(kind, mode, name string, labels []string) (func([]string, float64), error) {
	s := w.store
	switch kind {
	case "counter":
		vec := s.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help(name)}, labels)
		return func(values []string, v float64) { vec.WithLabelValues(values...).Add(v) }, nil
	case "mirrored":
		vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help(name)}, labels)
		s.Registerer().MustRegister(vec)
		return func(values []string, v float64) { vec.WithLabelValues(values...).Add(v) }, nil
	case "quantiles":
		sum := prometheus.NewSummary(prometheus.SummaryOpts{Name: name, Help: help(name), Objectives: map[float64]float64{0.5: 0.05}})
		s.Registerer().MustRegister(sum)
		return func(_ []string, v float64) { sum.Observe(v) }, nil
	case "function":
		var last float64
		s.Registerer().MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help(name)}, func() float64 { return last }))
		return func(_ []string, v float64) { last = v }, nil
	case "gauge":
		var modes []store.MergeMode
		for m := store.All; m <= store.LiveMean; m++ {
			if m.String() == mode {
				modes = append(modes, m)
			}
		}
		vec := s.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help(name)}, labels, modes...)
		return func(values []string, v float64) { vec.WithLabelValues(values...).Set(v) }, nil
	case "histogram":
		bounds := []float64{0.1, 1, 10}
		if mode != "" {
			bounds = nil
			for b := range strings.SplitSeq(mode, "_") {
				v, err := strconv.ParseFloat(b, 64)
				if err != nil {
					return nil, err
				}
				bounds = append(bounds, v)
			}
		}
		vec := s.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help(name), Buckets: slices.Clone(bounds)}, labels)
		return func(values []string, v float64) { vec.WithLabelValues(values...).Observe(v) }, nil
	case "native":
		vec := s.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help(name), NativeHistogramBucketFactor: 1.1}, labels)
		return func(values []string, v float64) { vec.WithLabelValues(values...).Observe(v) }, nil
	case "summary":
		vec := s.NewSummaryVec(prometheus.SummaryOpts{Name: name, Help: help(name)}, labels)
		return func(values []string, v float64) { vec.WithLabelValues(values...).Observe(v) }, nil
	}
	return nil, fmt.Errorf("bad kind %q", kind)
}
