// Package serve is the sidecar: a process without metrics of its own that serves
// those of a directory, and a page that shows what is in it.
//
// It may be started before the directory is there, and goes on when that is removed.
// Nobody depends on it: any process that counts in the directory can be scraped
// instead, and a second sidecar does no harm.
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
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/exporter-toolkit/web"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/internal/directory"
)

// DefaultAddress is where a sidecar listens unless it is told otherwise: on this
// machine only, since the page says more than a scrape does.
const DefaultAddress = "127.0.0.1:9897"

// Opts says what to serve, and where.
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

	// MaxRequests bounds the scrapes that are answered at once; what is beyond gets
	// status 503. 0: no bound.
	MaxRequests int

	// Interval is how often the page looks at the directory: MinInterval or more. 0: 2 s.
	Interval time.Duration

	// NoAbsorption leaves absorbing the dead to others.
	NoAbsorption bool

	Logger *slog.Logger
}

// MinInterval bounds the samples of a chart, and what looking costs.
const MinInterval = 100 * time.Millisecond

const (
	defaultInterval = 2 * time.Second

	// A client that does not read holds its own connection only, and not for ever.
	readHeaderTimeout = 10 * time.Second
	writeTimeout      = time.Minute
	idleTimeout       = 2 * time.Minute

	// shutdownPatience is how long a scrape may go on once the sidecar is to end:
	// less than what systemd and Kubernetes wait before they kill.
	shutdownPatience = 10 * time.Second
)

// Run serves until the context ends, and then until what was begun is answered.
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
		_ = server.Shutdown(patience) // what is not answered by then is not
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
	handler   http.Handler
}

func newServer(o Opts) (*server, error) {
	if err := checkTelemetryPath(o.TelemetryPath); err != nil {
		return nil, err
	}
	o.Interval = cmp.Or(o.Interval, defaultInterval)
	s := &server{opts: o, watcher: newWatcher(o)}
	s.collector = collector.New(collector.Opts{
		Location: o.Dir, Absorption: s.absorption(), NoAbsorption: o.NoAbsorption, Logger: o.Logger,
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

// checkTelemetryPath refuses what ServeMux would panic at, or take for a pattern, and
// what would hide a page.
func checkTelemetryPath(p string) error {
	first, _, _ := strings.Cut(strings.TrimPrefix(p, "/"), "/")
	switch {
	case !strings.HasPrefix(p, "/"), path.Clean(p) != p, strings.ContainsAny(p, "{}?#% \t"):
		return fmt.Errorf("telemetry path %q: want one that begins with a slash, such as /metrics", p)
	case slices.Contains([]string{"", "-", "family", "process", "static"}, first):
		return fmt.Errorf("telemetry path %q: want one that is not that of a page", p)
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

// start lets the background work begin; the channel is closed when it has ended.
func (s *server) start(ctx context.Context) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(s.opts.Interval)
		defer ticker.Stop()
		for {
			s.watcher.look()
			s.absorb(ctx)
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	}()
	return done
}

// absorb absorbs the dead that nobody's scrape has. A sidecar that is scraped does so
// after each scrape.
func (s *server) absorb(ctx context.Context) {
	if s.opts.NoAbsorption || !s.watcher.deadWait() {
		return
	}
	_, err := compact.Run(ctx, s.opts.Dir, s.absorption())
	if err != nil && ctx.Err() == nil && !errors.Is(err, compact.ErrBusy) {
		s.opts.Logger.Debug("Dead processes are not absorbed", "err", err) // the collector says it aloud
	}
}

func (s *server) close() {
	_ = s.collector.Close()
	s.watcher.close()
}

// errorLog writes what promhttp says.
type errorLog struct{ log *slog.Logger }

// Println implements promhttp.Logger.
func (l errorLog) Println(v ...any) { l.log.Error(strings.TrimSpace(fmt.Sprintln(v...))) }
