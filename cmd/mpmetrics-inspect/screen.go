package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/mpmetrics/mpmetrics/internal/inspect"
)

// screen is the model of the full screen.
type screen struct {
	meter    *inspect.Meter
	interval time.Duration
	colors   bool

	// reading is held while the meter reads, in a goroutine of bubbletea's.
	reading *sync.Mutex

	moment        *inspect.Moment // nil before the first reading
	width, height int
	series        bool // the series are shown, and not the processes
	sort          [2]int
	reverse       bool
	at            int // marked line of the list
	paused        bool
	typing        bool // a filter
	filter        string
}

func newScreen(m *inspect.Meter, interval time.Duration, colors bool) *screen {
	return &screen{meter: m, interval: interval, colors: colors, reading: &sync.Mutex{}}
}

type (
	tickMsg   struct{}
	momentMsg struct{ *inspect.Moment }
)

// Init implements tea.Model.
func (s *screen) Init() tea.Cmd { return s.read() }

// read reads again, with the current filter.
func (s *screen) read() tea.Cmd {
	filter := s.filter
	return func() tea.Msg {
		s.reading.Lock()
		defer s.reading.Unlock()
		s.meter.Filter(filter)
		return momentMsg{s.meter.Next()}
	}
}

// Update implements tea.Model.
func (s *screen) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		s.width, s.height = msg.Width, msg.Height
	case momentMsg:
		if !s.paused {
			s.moment = msg.Moment
			s.arrange()
		}
		// The next tick starts after the reading: during a slow reading no other reading starts.
		return s, tea.Tick(s.interval, func(time.Time) tea.Msg { return tickMsg{} })
	case tickMsg:
		return s, s.read()
	case tea.KeyPressMsg:
		return s, s.key(msg)
	}
	return s, nil
}

// key obeys a key.
func (s *screen) key(msg tea.KeyPressMsg) tea.Cmd {
	key := msg.String()
	if key == "ctrl+c" {
		return tea.Quit
	}
	if s.typing {
		s.typed(key, msg.Text)
		return nil
	}
	page := max(1, s.rows()-1)
	switch key {
	case "q":
		return tea.Quit
	case "tab":
		s.series, s.at = !s.series, 0
	case "s":
		s.sort[s.view()] = (s.sort[s.view()] + 1) % len(s.columns())
		s.at = 0
	case "r":
		s.reverse, s.at = !s.reverse, 0
	case "p":
		s.paused = !s.paused
	case "/":
		s.typing = true
	case "esc":
		s.setFilter("")
	case "up", "k":
		s.at--
	case "down", "j":
		s.at++
	case "pgup":
		s.at -= page
	case "pgdown", "space":
		s.at += page
	case "home":
		s.at = 0
	case "end":
		s.at = s.length()
	}
	s.arrange()
	return nil
}

// typed takes a key into the filter.
func (s *screen) typed(key, typed string) {
	switch key {
	case "enter":
		s.typing = false
	case "esc":
		s.typing = false
		s.setFilter("")
	case "backspace":
		if r := []rune(s.filter); len(r) > 0 {
			s.setFilter(string(r[:len(r)-1]))
		}
	default:
		s.setFilter(s.filter + typed)
	}
}

// setFilter sets the filter for the current view and for the next readings.
func (s *screen) setFilter(f string) { s.filter, s.at = f, 0 }

func (s *screen) view() int {
	if s.series {
		return 1
	}
	return 0
}

func (s *screen) length() int {
	switch {
	case s.moment == nil:
		return 0
	case s.series:
		return len(s.shownSeries())
	}
	return len(s.moment.Processes)
}

// shownSeries are the series that match the filter: the filter may be newer than the reading.
func (s *screen) shownSeries() []inspect.SeriesRate {
	if s.filter == "" {
		return s.moment.Series
	}
	filter := strings.ToLower(s.filter)
	return slices.DeleteFunc(slices.Clone(s.moment.Series), func(r inspect.SeriesRate) bool {
		return !strings.Contains(strings.ToLower(r.Value.Series()), filter)
	})
}

// Columns of a sort order, the largest or the first letter first.
var (
	processColumns = []string{"rate", "pid", "program", "state", "age", "series", "size"}
	seriesColumns  = []string{"rate", "value", "series"}
)

func (s *screen) columns() []string {
	if s.series {
		return seriesColumns
	}
	return processColumns
}

// arrange sorts the shown lines, and keeps the mark inside.
func (s *screen) arrange() {
	if s.moment != nil {
		slices.SortStableFunc(s.moment.Processes, s.turned(compareRates(processColumns[s.sort[0]])))
		slices.SortStableFunc(s.moment.Series, turnedSeries(s.reverse, seriesColumns[s.sort[1]]))
	}
	s.at = max(0, min(s.at, s.length()-1))
}

func (s *screen) turned(c func(a, b inspect.ProcessRate) int) func(a, b inspect.ProcessRate) int {
	if !s.reverse {
		return c
	}
	return func(a, b inspect.ProcessRate) int { return c(b, a) }
}

func compareRates(column string) func(a, b inspect.ProcessRate) int {
	return func(a, b inspect.ProcessRate) int {
		by := 0
		switch column {
		case "rate":
			by = cmp.Compare(b.Rate, a.Rate)
		case "program":
			by = cmp.Compare(a.Program, b.Program)
		case "state":
			by = cmp.Compare(a.State, b.State)
		case "age":
			by = a.Start.Compare(b.Start)
		case "series":
			by = cmp.Compare(b.SeriesTotal(), a.SeriesTotal())
		case "size":
			by = cmp.Compare(b.Bytes, a.Bytes)
		}
		return cmp.Or(by, cmp.Compare(a.PID, b.PID), cmp.Compare(a.Name, b.Name))
	}
}

func turnedSeries(reverse bool, column string) func(a, b inspect.SeriesRate) int {
	c := func(a, b inspect.SeriesRate) int {
		by := 0
		switch column {
		case "rate":
			by = cmp.Compare(b.Rate, a.Rate)
		case "value":
			by = cmp.Compare(b.Number(), a.Number())
		}
		return cmp.Or(by, cmp.Compare(a.Value.Series(), b.Value.Series()))
	}
	if !reverse {
		return c
	}
	return func(a, b inspect.SeriesRate) int { return c(b, a) }
}

// Lines around the list.
const (
	linesAbove = 3 // two lines of summary, one of column names
	linesBelow = 1
)

// rows is how many lines of the list there is room for.
func (s *screen) rows() int { return max(1, s.height-linesAbove-linesBelow) }

// View implements tea.Model.
func (s *screen) View() tea.View {
	v := tea.NewView(s.content())
	v.AltScreen = true
	v.WindowTitle = program + " top"
	return v
}

func (s *screen) content() string {
	if s.moment == nil {
		return "reading…"
	}
	m := s.moment
	state := ""
	if s.paused {
		state = "  PAUSED"
	}
	lines := []string{
		fmt.Sprintf("%s  %s%s", inspect.Escape(m.Directory), m.Time.Local().Format(time.TimeOnly), state),
		s.summary(),
	}
	var g *grid
	if s.series {
		g = s.seriesGrid()
	} else {
		g = s.processGrid()
	}
	lines = append(lines, s.list(g)...)
	for len(lines) < s.height-linesBelow {
		lines = append(lines, "")
	}
	lines = append(lines, s.footer())
	for i, l := range lines {
		lines[i] = text.Trim(l, max(1, s.width))
	}
	return strings.Join(lines[:min(len(lines), max(1, s.height))], "\n")
}

func (s *screen) summary() string {
	m := s.moment
	line := fmt.Sprintf("%d live, %d dead, %d archived  %d series  %s", m.Count(inspect.Live), m.Count(inspect.Dead), m.Archive.Absorbed, len(m.Series), rateText(m.Rate))
	switch n := len(m.Problems); {
	case !m.Present:
		line = "the directory is not there"
	case n > 0:
		line += "  " + s.paint(wrong, found(n)+": mpmetrics-inspect check")
	}
	return line
}

func (s *screen) footer() string {
	if s.typing {
		return "filter: " + inspect.Escape(s.filter) + "█  enter: keep  esc: none"
	}
	order := ""
	if s.reverse {
		order = ", turned round"
	}
	line := fmt.Sprintf("tab %s  s sort (%s%s)  r turn  / filter", map[bool]string{true: "processes", false: "series"}[s.series], s.columns()[s.sort[s.view()]], order)
	if s.filter != "" {
		line += " (" + inspect.Escape(s.filter) + ", esc: none)"
	}
	return line + "  p pause  q quit"
}

func (s *screen) paint(c text.Colors, t string) string {
	if !s.colors {
		return t
	}
	return c.Sprint(t)
}

func (s *screen) processGrid() *grid {
	g := &grid{columns: []column{
		{name: "rate", right: true},
		{name: "pid", right: true},
		{name: "program"},
		{name: "state"},
		{name: "age", right: true},
		{name: "series", right: true},
		{name: "size", right: true},
	}}
	for _, p := range s.moment.Processes {
		g.add(plain(s.rate(p.Rate)), number(p.PID), escaped(p.Program), plain(string(p.State)).in(stateColor(p.State)),
			since(p.Start, s.moment.Time), number(p.SeriesTotal()), size(p.Bytes))
	}
	return g
}

func (s *screen) seriesGrid() *grid {
	g := &grid{columns: []column{{name: "rate", right: true}, {name: "value", right: true}, {name: "series"}}}
	for _, r := range s.shownSeries() {
		rate := "-"
		if r.Family.Type.Cumulative() {
			rate = s.rate(r.Rate)
		}
		g.add(plain(rate), plain(inspect.FormatNumber(r.Number())), plain(r.Value.Series()))
	}
	return g
}

// rate is not known before there are two readings.
func (s *screen) rate(r float64) string {
	if s.moment.Interval == 0 {
		return "…"
	}
	return rateText(r)
}

// list has as many lines of a grid as fit, with the marked line among them.
func (s *screen) list(g *grid) []string {
	rows := s.rows()
	first := max(0, min(s.at-rows/2, len(g.rows)-rows))
	last := min(len(g.rows), first+rows)
	shown := &grid{columns: g.columns, rows: g.rows[first:last]}
	var b strings.Builder
	shown.table(&b, s.colors)
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	for i := range lines {
		mark := "  "
		if i > 0 && first+i-1 == s.at {
			mark = "> "
		}
		lines[i] = mark + lines[i]
	}
	return lines
}
