package store_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/store"
)

// page is what a handler answers.
func page(p *program, h http.Handler) string {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		p.errorf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func init() {
	programs["install"] = func(p *program) {
		promauto.NewCounter(prometheus.CounterOpts{Name: "package_level_total", Help: "h"}).Add(2)
		before := promhttp.Handler()
		// Another process has counted already.
		other, err := store.Open(store.Opts{NoAbsorption: true})
		if err != nil {
			p.errorf("%v", err)
			return
		}
		promauto.With(other.Registerer()).NewCounter(prometheus.CounterOpts{Name: "package_level_total", Help: "h"}).Add(40)
		_ = other.Flush(context.Background())

		if err := store.InstallAsDefault(); err != nil {
			p.errorf("%v", err)
		}
		c := collector.New(collector.Opts{NoAbsorption: true})
		prometheus.MustRegister(c)
		promauto.NewCounter(prometheus.CounterOpts{Name: "later_total", Help: "h"}).Add(3)
		var already prometheus.AlreadyRegisteredError
		if err := prometheus.Register(prometheus.NewCounter(prometheus.CounterOpts{Name: "package_level_total", Help: "h"})); !errors.As(err, &already) {
			p.errorf("a name that was there before: %v", err)
		}
		removed := prometheus.NewCounter(prometheus.CounterOpts{Name: "removed_total", Help: "h"})
		prometheus.MustRegister(removed)
		if !prometheus.Unregister(removed) {
			p.errorf("what was registered cannot be unregistered")
		}
		after := page(p, promhttp.Handler())
		for _, line := range []string{"package_level_total 42", "later_total 3", "mpmetrics_up 1"} {
			if !strings.Contains(after, "\n"+line+"\n") {
				p.errorf("a handler made afterwards does not show %q:\n%s", line, after)
			}
		}
		if n := strings.Count(after, "\ngo_goroutines "); n != 1 {
			p.errorf("go_goroutines stands %d times", n)
		}
		if text := page(p, before); !strings.Contains(text, "\npackage_level_total 2\n") || strings.Contains(text, "later_total") {
			p.errorf("a handler made before shows more than it did:\n%s", text)
		}
	}
	programs["install late"] = func(p *program) {
		prometheus.MustRegister(collector.New(collector.Opts{NoAbsorption: true}))
		registerer, gatherer := prometheus.DefaultRegisterer, prometheus.DefaultGatherer
		if err := store.InstallAsDefault(); err == nil || !strings.Contains(err.Error(), "beginning of main") {
			p.errorf("after a collector was registered: error %v", err)
		}
		if prometheus.DefaultRegisterer != registerer || prometheus.DefaultGatherer != gatherer {
			p.errorf("something was installed in spite of the error")
		}
	}
	programs["install in memory"] = func(p *program) {
		registerer, gatherer := prometheus.DefaultRegisterer, prometheus.DefaultGatherer
		if err := store.InstallAsDefault(); err != nil {
			p.errorf("%v", err)
		}
		if prometheus.DefaultRegisterer != registerer || prometheus.DefaultGatherer != gatherer {
			p.errorf("something was installed without a directory")
		}
	}
}

func TestInstallAsDefault(t *testing.T) {
	run(t, "install", store.EnvDir+"="+inMemory(t))
	run(t, "install late", store.EnvDir+"="+inMemory(t))
	run(t, "install in memory")
}
