// Package serve is the sidecar: a process without own metrics that serves the metrics of a
// directory, and a status page.
//
// The sidecar may start before the directory exists, and goes on after the removal of the
// directory. No process depends on the sidecar: Prometheus can scrape any process that counts in
// the directory instead, and a second sidecar does no harm.
package serve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/exporter-toolkit/web"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/internal/directory"
)

// DefaultAddress is the default address of a sidecar: on the local machine only, because the page
// shows more than a scrape.
const DefaultAddress = "127.0.0.1:9897"

// Opts says which directory to serve, and how.
type Opts struct {
	// Dir, ArchiveDir and Access are as in inspect.Opts.
	Dir        string
	ArchiveDir string
	Access     directory.Access

	// Web is where to listen, and how: TLS and passwords are in a file of
	// exporter-toolkit's.
	Web web.FlagConfig

	// TelemetryPath is the path of the metrics, such as /metrics.
	TelemetryPath string

	// MaxRequests bounds concurrent scrapes; a scrape above the bound gets status 503. 0: no bound.
	MaxRequests int

	// Interval is how often the page looks at the directory: MinInterval or more. 0: 2 s.
	Interval time.Duration

	// NoAbsorption leaves dead processes to other absorbers.
	NoAbsorption bool

	Logger *slog.Logger
}

// MinInterval bounds the samples of a chart, and the cost of reading.
const MinInterval = 100 * time.Millisecond

const (
	defaultInterval = 2 * time.Second

	// A client that does not read holds only its own connection, for a limited time.
	readHeaderTimeout = 10 * time.Second
	writeTimeout      = time.Minute
	idleTimeout       = 2 * time.Minute

	// shutdownPatience is the time for a scrape after the end of the sidecar begins: less than the
	// time of systemd and Kubernetes before they kill.
	shutdownPatience = 10 * time.Second
)

// Run serves until the context ends, and then until the current requests are answered.
func Run(ctx context.Context, o Opts) error {
	s, err := newServer(o)
	if err != nil {
		return err
	}
	defer s.close()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	background := s.start(ctx)
	defer func() { stop(); <-background }()

	server := &http.Server{
		Handler: s.handler, ReadHeaderTimeout: readHeaderTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		ErrorLog: slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug),
	}
	ended := make(chan struct{})
	context.AfterFunc(ctx, func() {
		defer close(ended)
		o.Logger.Info("Shutting down")
		patience, cancel := context.WithTimeout(context.Background(), shutdownPatience)
		defer cancel()
		_ = server.Shutdown(patience) // requests after the patience get no answer
	})
	if err := web.ListenAndServe(server, &o.Web, o.Logger); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	<-ended
	return nil
}

// server is the sidecar without its listeners.
type server struct {
	opts      Opts
	collector *collector.Collector
	watcher   *watcher
	absorb    func(context.Context) // dead processes, after a look
	handler   http.Handler
}

func newServer(o Opts) (*server, error) {
	if err := checkTelemetryPath(o.TelemetryPath); err != nil {
		return nil, err
	}
	o.Interval = cmp.Or(o.Interval, defaultInterval)
	s := &server{opts: o, watcher: newWatcher(o)}
	s.absorb = s.absorbDead
	s.collector = collector.New(collector.Opts{
		Location: o.Dir, ArchiveDir: o.ArchiveDir, NoAbsorption: o.NoAbsorption, Logger: o.Logger,
		GroupShared: s.watcher.access().GroupShared, AllowNetworkFS: o.Access.AllowNetworkFS,
	})
	registry := prometheus.NewRegistry()
	registry.MustRegister(s.collector)

	mux := http.NewServeMux()
	mux.Handle("GET "+o.TelemetryPath, promhttp.HandlerFor(&shared{gatherer: registry}, promhttp.HandlerOpts{
		ErrorLog: errorLog{o.Logger}, EnableOpenMetrics: true, MaxRequestsInFlight: o.MaxRequests,
	}))
	mux.HandleFunc("GET /-/healthy", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "mpmetrics-inspect is healthy.") })
	mux.HandleFunc("GET /-/ready", s.ready)
	newPages(s.watcher, o).register(mux)
	s.handler = mux
	return s, nil
}

// checkTelemetryPath refuses a path that ServeMux would panic at or take for a pattern, and a path
// that would hide a page.
func checkTelemetryPath(p string) error {
	first, _, _ := strings.Cut(strings.TrimPrefix(p, "/"), "/")
	switch {
	case !strings.HasPrefix(p, "/"), path.Clean(p) != p, strings.ContainsAny(p, "{}?#% \t"):
		return fmt.Errorf("telemetry path %q: want a clean path that begins with a slash, such as /metrics", p)
	case slices.Contains([]string{"", "-", "family", "process", "static"}, first):
		return fmt.Errorf("telemetry path %q: want a path other than the paths of pages", p)
	}
	return nil
}

// ready answers whether the directory was looked at.
func (s *server) ready(w http.ResponseWriter, _ *http.Request) {
	if s.watcher.overview() == nil {
		http.Error(w, "mpmetrics-inspect has not read the directory yet.", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "mpmetrics-inspect is ready.")
}

func (s *server) absorption() compact.Opts {
	return compact.Opts{
		ArchiveDir: s.opts.ArchiveDir, GroupShared: s.watcher.access().GroupShared, AllowNetworkFS: s.opts.Access.AllowNetworkFS, Logger: s.opts.Logger,
	}
}

// start starts the background work; the channel is closed at the end of the work. An absorption of
// many processes takes long, and the pages are looked at meanwhile.
func (s *server) start(ctx context.Context) <-chan struct{} {
	looked := make(chan struct{}, 1)
	var work sync.WaitGroup
	work.Go(func() {
		ticker := time.NewTicker(s.opts.Interval)
		defer ticker.Stop()
		for {
			s.watcher.look()
			select {
			case looked <- struct{}{}:
			default: // an absorption is at work
			}
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	})
	work.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-looked:
				s.absorb(ctx)
			}
		}
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		work.Wait()
	}()
	return done
}

// absorbDead absorbs dead processes if no scrape has done so. A scraped sidecar absorbs after each
// scrape.
func (s *server) absorbDead(ctx context.Context) {
	if s.opts.NoAbsorption || !s.watcher.deadWait() {
		return
	}
	_, err := compact.Run(ctx, s.opts.Dir, s.absorption())
	if err != nil && ctx.Err() == nil && !errors.Is(err, compact.ErrBusy) {
		s.opts.Logger.Debug("Dead processes are not absorbed", "err", err) // the collector warns
	}
}

func (s *server) close() {
	_ = s.collector.Close()
	s.watcher.close()
}

// errorLog writes the errors of promhttp.
type errorLog struct{ log *slog.Logger }

// Println implements promhttp.Logger.
func (l errorLog) Println(v ...any) { l.log.Error(strings.TrimSpace(fmt.Sprintln(v...))) }
