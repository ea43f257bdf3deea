package collector_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/internal/testing/promtest"
)

// New cannot fail: an option without a meaning is logged, and its default is used.
func TestOptsWithoutMeaningAreLogged(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, "1").NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "h"}).Inc()
	var log bytes.Buffer
	r := registryWith(t, collector.Opts{
		Location: dir, NoAbsorption: true, Timeout: -time.Second, Absorption: compact.Limits{ForgetAfter: -time.Hour},
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	holds(t, "with the defaults", promtest.Flatten(promtest.Gather(t, r)), samples{"c_total": 1, "mpmetrics_up": 1})
	for _, text := range []string{"Opts.Timeout is -1s", "Limits.ForgetAfter is -1h0m0s"} {
		if !strings.Contains(log.String(), text) {
			t.Errorf("the log does not say %q:\n%s", text, log.String())
		}
	}
}

// A Gatherer can be closed: it gives the files back, and the local families stay.
func TestGathererCloses(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, "1").NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "h"}).Inc()
	local := prometheus.NewRegistry()
	local.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "local", Help: "h"}))
	g := collector.NewGatherer(local, collector.Opts{Location: dir, NoAbsorption: true})
	holds(t, "open", promtest.Flatten(promtest.Gather(t, g)), samples{"c_total": 1, "local": 0})
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	got := promtest.Flatten(promtest.Gather(t, g))
	holds(t, "closed", got, samples{"local": 0})
	if _, there := got["c_total"]; there {
		t.Error("a closed Gatherer shows merged families")
	}
}
