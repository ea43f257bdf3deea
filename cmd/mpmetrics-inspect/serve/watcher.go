package serve

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/inspect"
)

// maxAbsorptions is how many of the recent absorptions the page shows.
const maxAbsorptions = 10

// watcher reads the directory repeatedly, for the pages. Scrapes do not need the watcher.
type watcher struct {
	interval time.Duration
	last     atomic.Pointer[overview] // nil before the first look

	mu          sync.Mutex // guards the fields below: a survey is good until the next
	inspector   *inspect.Inspector
	survey      *inspect.Survey
	totals      map[string]float64 // of cumulative families, as of survey
	rates       map[string]float64 // of cumulative families, per second
	history     history
	absorptions []absorption // the newest first
	closed      bool
}

// absorption is the growth of the archive between two readings.
type absorption struct {
	Time      time.Time
	Processes uint64
	Series    int // of the archive then
	Anew      bool
}

func newWatcher(o Opts) *watcher {
	return &watcher{
		interval:  o.Interval,
		inspector: inspect.New(inspect.Opts{Dir: o.Dir, ArchiveDir: o.ArchiveDir, Access: o.Access}),
		history:   history{families: map[string]*watched{}},
	}
}

// access returns the access of the directory, as found.
func (w *watcher) access() directory.Access { return w.inspector.Access() }

// overview is the result of the last reading, nil before the first.
func (w *watcher) overview() *overview { return w.last.Load() }

// deadWait reports whether dead processes wait to be absorbed.
func (w *watcher) deadWait() bool {
	o := w.overview()
	return o != nil && o.Dead > 0
}

// look looks once.
func (w *watcher) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	before := w.survey
	w.survey = w.inspector.Read()
	w.measure(before)
	w.note(before)
	w.history.add(w.survey.Time, func(name string) map[string]float64 {
		if f := w.survey.Family(name); f != nil {
			return w.survey.Totals(f)
		}
		return nil
	})
	w.last.Store(w.overviewOf())
}

// measure computes the rates of families, and lets the fastest family be sampled for the chart of
// the first page.
func (w *watcher) measure(before *inspect.Survey) {
	totals, rates := map[string]float64{}, map[string]float64{}
	busiest := ""
	for _, f := range w.survey.Families {
		if !f.Type.Cumulative() {
			continue
		}
		totals[f.Name] = w.survey.Total(f)
		old, known := w.totals[f.Name]
		if before == nil || !known || w.survey.Err != nil {
			continue
		}
		rates[f.Name] = max(0, totals[f.Name]-old) / w.survey.Time.Sub(before.Time).Seconds()
		if events(f) && (busiest == "" || rates[f.Name] > rates[busiest]) {
			busiest = f.Name
		}
	}
	w.totals, w.rates = totals, rates
	// A change of the family too often would leave the chart without a past.
	if shown := w.chosen(); busiest != "" && (shown == "" || rates[busiest] > 2*rates[shown]) {
		w.history.ask(busiest, w.survey.Time)
	} else if shown != "" {
		w.history.ask(shown, w.survey.Time)
	}
}

// events reports whether a family counts events of the service: not bytes or seconds, with their
// much larger numbers, and not the runtime.
func events(f *inspect.Family) bool {
	for _, of := range []string{"_bytes_total", "_seconds_total"} {
		if strings.HasSuffix(f.Name, of) {
			return false
		}
	}
	return !strings.HasPrefix(f.Name, "go_") && !strings.HasPrefix(f.Name, "process_")
}

// chosen is the family of the chart on the first page: the fastest sampled family. Empty: no
// family is sampled.
func (w *watcher) chosen() (name string) {
	for family := range w.history.families {
		f := w.survey.Family(family)
		if f != nil && events(f) && (name == "" || w.rates[family] > w.rates[name] || w.rates[family] == w.rates[name] && family < name) {
			name = family
		}
	}
	return name
}

// note notes the growth of the archive.
func (w *watcher) note(before *inspect.Survey) {
	if before == nil {
		return
	}
	was, is := before.Archive, w.survey.Archive
	a := absorption{Time: w.survey.Time, Series: is.Series, Anew: is.Begun.After(was.Begun)}
	if is.Absorbed > was.Absorbed {
		a.Processes = is.Absorbed - was.Absorbed
	}
	if a.Processes > 0 || a.Anew {
		w.absorptions = append([]absorption{a}, w.absorptions...)
		w.absorptions = w.absorptions[:min(len(w.absorptions), maxAbsorptions)]
	}
}

// with calls do with the last survey, nil before the first. No reading happens meanwhile.
func (w *watcher) with(do func(s *inspect.Survey)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	do(w.survey)
}

func (w *watcher) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.inspector.Close()
}
