package serve

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/inspect"
)

//go:embed pages/*.html static/*
var files embed.FS

// pages serves the status pages. The pages load nothing from other servers.
type pages struct {
	watcher   *watcher
	templates *template.Template
	opts      Opts
	log       *slog.Logger
}

func newPages(w *watcher, o Opts) *pages {
	functions := template.FuncMap{"size": inspect.HumanSize, "number": humanNumber, "ago": func(t time.Time) string { return inspect.Ago(t, time.Now()) }}
	return &pages{
		watcher: w, opts: o, log: o.Logger,
		templates: template.Must(template.New("").Funcs(functions).ParseFS(files, "pages/*.html")),
	}
}

func (p *pages) register(mux *http.ServeMux) {
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		p.show(w, http.StatusOK, "overview.html", "", p.watcher.overview())
	})
	mux.HandleFunc("GET /family", func(w http.ResponseWriter, r *http.Request) {
		name := r.FormValue("name")
		if v := p.watcher.family(name); v != nil {
			p.show(w, http.StatusOK, "family.html", v.Name, v)
			return
		}
		p.missing(w, "There is no family of this name.")
	})
	mux.HandleFunc("GET /process", func(w http.ResponseWriter, r *http.Request) {
		if v := p.watcher.process(r.FormValue("file")); v != nil {
			p.show(w, http.StatusOK, "process.html", fmt.Sprint("pid ", v.PID), v)
			return
		}
		p.missing(w, "There is no file of this name: its process was absorbed, perhaps.")
	})
	static := http.FileServerFS(files)
	mux.HandleFunc("GET /static/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=3600")
		static.ServeHTTP(w, r)
	})
	mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) { p.missing(w, "There is no such page.") })
}

func (p *pages) missing(w http.ResponseWriter, text string) {
	p.show(w, http.StatusNotFound, "missing.html", "not found", text)
}

// page is the data of every template.
type page struct {
	Title         string
	TelemetryPath string
	Refresh       float64 // seconds
	Body          any
}

// policy admits only own content: a label value cannot load or run anything, even without
// escaping.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func (p *pages) show(w http.ResponseWriter, status int, name, title string, body any) {
	var b bytes.Buffer
	err := p.templates.ExecuteTemplate(&b, name, page{title, p.opts.TelemetryPath, p.opts.Interval.Seconds(), body})
	if err != nil {
		p.log.Error("Page cannot be made", "page", name, "err", err)
		http.Error(w, "The page cannot be made; the log says why.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = b.WriteTo(w) // a client that has left needs no answer
}
