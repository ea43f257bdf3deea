package serve

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/internal/testing/promtest"
	"github.com/mpmetrics/mpmetrics/internal/testing/testdir"
	"github.com/mpmetrics/mpmetrics/store"
)

var silent = slog.New(slog.DiscardHandler)

func open(t *testing.T, dir string) *store.Store {
	t.Helper()
	s, err := store.Open(store.Opts{Location: dir, NoAbsorption: true, Logger: silent})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// sidecar is a server that looks when the test says so.
func sidecar(t *testing.T, dir string) *server {
	t.Helper()
	s, err := newServer(Opts{Dir: dir, TelemetryPath: "/metrics", NoAbsorption: true, Logger: silent})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	return s
}

func (s *server) get(t *testing.T, path string) (status int, body string) {
	t.Helper()
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

func wants(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%s lacks %q:\n%s", what, p, text)
		}
	}
}

// hostile is a label value, a help text and more that wants to be run.
const hostile = `"><script>alert(1)</script><img src=x onerror='alert(2)'>` + "\x1b[31m\u202e"

func TestPages(t *testing.T) {
	dir := testdir.New(t)
	s := sidecar(t, dir)
	if status, _ := s.get(t, "/-/ready"); status != http.StatusServiceUnavailable {
		t.Errorf("ready before the first look: %d", status)
	}
	if status, body := s.get(t, "/"); status != http.StatusOK || !strings.Contains(body, "for the first time") {
		t.Errorf("before the first look: %d\n%s", status, body)
	}
	s.watcher.look()
	_, body := s.get(t, "/")
	wants(t, "without a directory", body, "Nothing here yet", dir)
	if status, _ := s.get(t, "/-/ready"); status != http.StatusOK {
		t.Errorf("ready without a directory: %d", status)
	}

	first, second := open(t, dir), open(t, dir)
	for _, p := range []*store.Store{first, second} {
		v := p.NewCounterVec(prometheus.CounterOpts{Name: "orders_total", Help: hostile}, []string{"l"})
		v.WithLabelValues(hostile).Add(3)
		v.WithLabelValues("plain").Add(2)
	}
	first.NewGauge(prometheus.GaugeOpts{Name: "queue", Help: "Waiting."}, store.Sum).Set(7)
	second.NewCounter(prometheus.CounterOpts{Name: "queue", Help: "Waited."}).Add(8)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	s.watcher.look()
	_, body = s.get(t, "/")
	wants(t, "overview", body, "orders_total", "queue", `<b>1</b><span>live`, `<b>1</b><span>dead`)
	_, family := s.get(t, "/family?name=orders_total")
	wants(t, "family", family, "counter", "plain", ">6<", ">4<", "Rate by process")
	_, conflict := s.get(t, "/family?name=queue")
	wants(t, "family in conflict", conflict, "not merged", "Conflicts")
	o := s.watcher.overview()
	_, process := s.get(t, o.Processes.Shown[0].URL)
	wants(t, "process", process, "orders_total", o.Processes.Shown[0].File)
	for what, page := range map[string]string{"overview": body, "family": family, "process": process} {
		if strings.Contains(page, "<script>alert") || strings.Contains(page, "<img src=x") || strings.ContainsAny(page, "\x1b\u202e") {
			t.Errorf("%s has a label as it is:\n%s", what, page)
		}
	}

	if _, err := compact.Run(context.Background(), dir, compact.Opts{}); err != nil {
		t.Fatal(err)
	}
	second.NewCounter(prometheus.CounterOpts{Name: "fast_total", Help: "h"}).Add(1)
	s.watcher.look()
	s.watcher.look()
	_, body = s.get(t, "/")
	wants(t, "after an absorption", body, "Recent absorptions", "1 processes", "+ archive")
	_, family = s.get(t, "/family?name=orders_total")
	wants(t, "family, a third look", family, "<svg class=\"chart\"", "archive 3")
	for path, want := range map[string]int{
		"/family?name=nobody": http.StatusNotFound, "/process?file=nobody": http.StatusNotFound, "/nothing": http.StatusNotFound,
		"/static/style.css": http.StatusOK, "/static/live.js": http.StatusOK, "/static/icon.svg": http.StatusOK, "/-/healthy": http.StatusOK,
	} {
		if status, _ := s.get(t, path); status != want {
			t.Errorf("%s: status %d, want %d", path, status, want)
		}
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if got := w.Header().Get("Content-Security-Policy"); got != policy {
		t.Errorf("policy %q", got)
	}
}

// A page has an end, however much there is: what is largest is on it.
func TestPagesAreBounded(t *testing.T) {
	dir := testdir.New(t)
	s, p := sidecar(t, dir), open(t, dir)
	const families = maxRows + 50
	for n := range families {
		p.NewCounter(prometheus.CounterOpts{Name: fmt.Sprintf("small%04d_total", n), Help: "h"}).Inc()
	}
	large := p.NewCounterVec(prometheus.CounterOpts{Name: "zlarge_total", Help: "h"}, []string{"l"})
	large.WithLabelValues("a").Inc()
	large.WithLabelValues("b").Inc()
	// A burst may be in memory for a moment.
	s.watcher.look()
	for limit := time.Now().Add(10 * time.Second); s.watcher.overview().Series < families+2 && time.Now().Before(limit); s.watcher.look() {
		time.Sleep(time.Millisecond)
	}
	_, overview := s.get(t, "/")
	_, process := s.get(t, s.watcher.overview().Processes.Shown[0].URL)
	for what, page := range map[string]string{"overview": overview, "process": process} {
		if rows := strings.Count(page, `href="/family?name=small`); rows > maxRows { // one is that of the chart
			t.Errorf("%s has %d families", what, rows)
		}
		wants(t, what, page, ">zlarge_total</a>", "small0000_total", "And 51 with fewer series", fmt.Sprintf("<small>%d</small>", families+1))
	}
	wants(t, "overview", overview, fmt.Sprintf("<b>%d</b><span>series", families+2))
}

// Neither do problems make a page longer and longer.
func TestProblemsAreBounded(t *testing.T) {
	dir := testdir.New(t)
	s := sidecar(t, dir)
	open(t, dir).NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "h"}).Inc()
	aside := filepath.Join(dir, "mpmetrics", "quarantine")
	if err := os.Mkdir(aside, 0o700); err != nil {
		t.Fatal(err)
	}
	const files = maxProblems + 7
	for n := range files {
		if err := os.WriteFile(filepath.Join(aside, fmt.Sprintf("aside%04d", n)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.watcher.look()
	_, overview := s.get(t, "/")
	if n := strings.Count(overview, ">aside"); n != maxProblems {
		t.Errorf("%d files in quarantine are shown, want %d", n, maxProblems)
	}
	wants(t, "overview", overview, fmt.Sprintf("<small>%d</small>", files), "And 7 more: <code>mpmetrics-inspect check", "And 7 more.")
}

// A directory that is removed is no end: what comes after it is served.
func TestSurvivesRemoval(t *testing.T) {
	dir := testdir.New(t)
	s := sidecar(t, dir)
	count := func() {
		p := open(t, dir)
		p.NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "h"}).Inc()
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		s.watcher.look()
	}
	count()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	s.watcher.look()
	if status, body := s.get(t, "/metrics"); status != http.StatusOK {
		t.Errorf("scrape without the directory: %d\n%s", status, body)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	count()
	if _, body := s.get(t, "/"); !strings.Contains(body, "c_total") {
		t.Errorf("after it was made again:\n%s", body)
	}
}

// slowGatherer counts how often it is asked.
type slowGatherer struct {
	mu      sync.Mutex
	begun   int
	started chan struct{}
	release chan struct{}
}

func (g *slowGatherer) Gather() ([]*dto.MetricFamily, error) {
	g.mu.Lock()
	g.begun++
	n := g.begun
	g.mu.Unlock()
	g.started <- struct{}{}
	<-g.release
	return []*dto.MetricFamily{{Name: new(fmt.Sprint(n))}}, nil
}

// Scrapes that wait while one is answered share the next gathering, and none gets one
// that began before it.
func TestScrapesShareGathering(t *testing.T) {
	g := &slowGatherer{started: make(chan struct{}), release: make(chan struct{})}
	s := &shared{gatherer: g}
	got := make(chan string, 10)
	scrape := func() {
		families, _ := s.Gather()
		got <- families[0].GetName()
	}
	go scrape()
	<-g.started
	for range 9 {
		go scrape()
	}
	for waiting := false; !waiting; { // all of them: one leads, and nobody else can begin
		s.mu.Lock()
		waiting = s.waiting != nil
		s.mu.Unlock()
	}
	time.Sleep(50 * time.Millisecond) // the others come, or share a third one, which is no less right
	g.release <- struct{}{}
	if name := <-got; name != "1" {
		t.Errorf("the first scrape got gathering %s", name)
	}
	<-g.started
	go func() {
		for range g.started { // of those who came late
		}
	}()
	close(g.release)
	for range 9 {
		if name := <-got; name == "1" {
			t.Error("a scrape got what was gathered before it")
		}
	}
	if g.begun > 4 {
		t.Errorf("%d gatherings for ten scrapes", g.begun)
	}
}

func TestHistory(t *testing.T) {
	h := history{families: map[string]*watched{}}
	at := func(s int) time.Time { return time.Unix(int64(1000+s), 0) }
	h.ask("f", at(0))
	h.add(at(0), func(string) map[string]float64 { return map[string]float64{"a": 0, "b": 5} })
	if all, _, _ := h.of("f"); all != nil {
		t.Errorf("rates of one sample: %v", all)
	}
	h.add(at(2), func(string) map[string]float64 { return map[string]float64{"a": 8, "b": 5, "new": 100} })
	h.add(at(4), func(string) map[string]float64 { return map[string]float64{"a": 8, "new": 101} })
	all, from, to := h.of("f")
	want := []rates{
		{process: "new", points: []point{{at(4), 0.5}}, last: 0.5},
		{process: "a", points: []point{{at(2), 4}, {at(4), 0}}, last: 0},
		{process: "b", points: []point{{at(2), 0}}, last: 0},
	}
	if diff := cmp.Diff(want, all, cmp.AllowUnexported(rates{}, point{})); diff != "" || !from.Equal(at(0)) || !to.Equal(at(4)) {
		t.Errorf("from %v to %v (-want +got):\n%s", from, to, diff)
	}
	if draw(all, from, to, 2*time.Second, strings.ToUpper).Lines[0].Name != "NEW" {
		t.Error("the first line is not the fastest process")
	}
	h.add(at(3600), func(string) map[string]float64 { return nil })
	if len(h.families) != 0 {
		t.Error("a family that nobody looks at is sampled")
	}
	for n := range 2 * maxWatched {
		h.ask(fmt.Sprint(n), at(n))
	}
	if len(h.families) != maxWatched || h.families[fmt.Sprint(2*maxWatched-1)] == nil {
		t.Errorf("%d families are sampled, want the last %d", len(h.families), maxWatched)
	}
}

func TestScale(t *testing.T) {
	for _, c := range []struct{ top, end, step float64 }{
		{top: 0, end: 1, step: 0.25},
		{top: 1, end: 1, step: 0.5},
		{top: 3, end: 3, step: 1},
		{top: 7, end: 8, step: 2},
		{top: 95, end: 100, step: 50},
		{top: 180, end: 200, step: 50},
		{top: 1e6, end: 1e6, step: 500_000},
		{top: 0.003, end: 0.003, step: 0.001},
	} {
		end, step := scale(c.top)
		if diff := max(end-c.end, c.end-end, step-c.step, c.step-step); diff > c.end*1e-9 {
			t.Errorf("scale of %v: to %v by %v, want %v by %v", c.top, end, step, c.end, c.step)
		}
	}
}

func TestBadTelemetryPath(t *testing.T) {
	for _, path := range []string{
		"", "/", "metrics", "/family", "/process", "/static", "/static/", "/static/style.css", "/-/healthy", "/-/ready", "/-/metrics",
		"//metrics", "/a/../b", "/metrics/", "/{x", "/{x}", "/{$}", "/{rest...}", "/met rics", "/metrics?a", "/metrics#a", "/%6d",
	} {
		if _, err := newServer(Opts{Dir: t.TempDir(), TelemetryPath: path, Logger: silent}); err == nil {
			t.Errorf("telemetry path %q was accepted", path)
		}
	}
	for _, path := range []string{"/metrics", "/families", "/shop/metrics", "/-metrics"} {
		s, err := newServer(Opts{Dir: t.TempDir(), TelemetryPath: path, Logger: silent})
		if err != nil {
			t.Errorf("telemetry path %q: %v", path, err)
			continue
		}
		if status, body := s.get(t, path); status != http.StatusOK || !strings.Contains(body, "mpmetrics_up") {
			t.Errorf("telemetry path %q: %d\n%s", path, status, body)
		}
		s.close()
	}
}

// Run answers until its context ends, and what was begun by then.
func TestRunEnds(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	logged := &lines{}
	o := Opts{Dir: testdir.New(t), TelemetryPath: "/metrics", Interval: 10 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(logged, nil))}
	addresses, no, config := []string{"127.0.0.1:0"}, false, ""
	o.Web.WebListenAddresses, o.Web.WebSystemdSocket, o.Web.WebConfigFile = &addresses, &no, &config
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, o) }()
	address := logged.address(t)
	answer, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	if err != nil || !strings.Contains(string(body), "mpmetrics_up 1") {
		t.Errorf("%v\n%s", err, body)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("ended with %v", err)
	}
}

// lines is a log.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// address waits for the line that says where the server listens.
func (l *lines) address(t *testing.T) string {
	t.Helper()
	for limit := time.Now().Add(20 * time.Second); time.Now().Before(limit); time.Sleep(5 * time.Millisecond) {
		l.mu.Lock()
		text := l.text.String()
		l.mu.Unlock()
		if _, rest, found := strings.Cut(text, `msg="Listening on" address=`); found && strings.Contains(rest, "\n") {
			return strings.Fields(rest)[0]
		}
	}
	t.Fatal("no line says where it listens")
	return ""
}

// Whatever was counted, a drawing has an end, and no number that a browser does not read.
func TestDrawExtremes(t *testing.T) {
	at := time.Unix(1000, 0)
	for _, rate := range []float64{0, 5e-324, 1e-310, 1e300, 1.7e308, math.MaxFloat64, math.Inf(+1), math.NaN()} {
		c := draw([]rates{{
			process: "p",
			points:  []point{{at, 1}, {at.Add(time.Second), rate}},
			last:    rate,
		}}, at, at.Add(time.Second), time.Second, strings.ToUpper)
		text := fmt.Sprint(c.Levels, c.Lines[0].Path)
		if len(c.Levels) < 2 || len(c.Levels) > 9 || strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
			t.Errorf("rate %v: %s", rate, text)
		}
	}
}

// An absorption takes long. The pages are looked at meanwhile, and the end of the sidecar waits for
// the absorption.
func TestLooksDuringAnAbsorption(t *testing.T) {
	s, err := newServer(Opts{Dir: t.TempDir(), TelemetryPath: "/metrics", Interval: MinInterval, Logger: silent})
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	began, goOn := make(chan struct{}), make(chan struct{})
	begin := sync.OnceFunc(func() { close(began) })
	s.absorb = func(context.Context) {
		begin()
		<-goOn
	}
	ctx, stop := context.WithCancel(t.Context())
	done := s.start(ctx)
	<-began
	first := s.watcher.overview().Time
	promtest.Eventually(t, "another look", func() bool { return s.watcher.overview().Time.After(first) })
	stop()
	select {
	case <-done:
		t.Error("the end did not wait for the absorption")
	case <-time.After(50 * time.Millisecond):
	}
	close(goOn)
	<-done
}
