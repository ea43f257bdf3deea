package main

import (
	"bytes"
	"cmp"
	"math"
	"os"
	"slices"

	chart "github.com/wcharczuk/go-chart/v2"
	"github.com/wcharczuk/go-chart/v2/drawing"
)

// plot is the time of scrapes against one parameter.
type plot struct {
	file, title, axis string
	// at is the position of a scrape on the axis, 0 for a scrape outside the plot.
	at func(scraped) int
}

var plots = []plot{
	{"scrape.svg", "A scrape of so many processes of 1000 counters", "processes", func(s scraped) int {
		if s.shape == "counters" && s.series == 1000 && s.dead == 0 {
			return s.processes
		}
		return 0
	}},
	{"series.svg", "A scrape of 16 processes of so many counters", "counters of each process", func(s scraped) int {
		if s.shape == "counters" && s.processes == 16 {
			return s.series
		}
		return 0
	}},
	{"dead.svg", "A scrape after so many processes died", "dead processes of 10 counters, beside 4 of 1000", func(s scraped) int {
		return s.dead
	}},
}

// libraries are the libraries in the plots, client_golang first.
func libraries() []string { return append([]string{"client_golang", "mpmetrics"}, peerNames()...) }

var colors = []drawing.Color{
	drawing.ColorFromHex("8a929e"), drawing.ColorFromHex("2f6fde"), drawing.ColorFromHex("d9730d"), drawing.ColorFromHex("c2418f"),
	drawing.ColorFromHex("2b9a66"), drawing.ColorFromHex("b3261e"),
}

// draw draws a plot. Both axes are logarithmic: a constant cost for each process is a straight
// line, and equal distances are equal factors.
func (p plot) draw(r *results) ([]byte, error) {
	var series []chart.Series
	var ticks []chart.Tick
	known := map[int]bool{}
	for i, lib := range libraries() {
		line := chart.ContinuousSeries{
			Name: lib, Style: chart.Style{StrokeColor: colors[i], StrokeWidth: 2.5, DotColor: colors[i], DotWidth: 4},
		}
		if lib == "client_golang" {
			line.Name = "client_golang, one process"
		}
		for _, s := range sortedBy(p.at) {
			x := p.at(s)
			if !known[x] {
				known[x] = true
				ticks = append(ticks, chart.Tick{Value: math.Log10(float64(x)), Label: chart.FloatValueFormatterWithFormat(float64(x), "%.0f")})
			}
			if took := r.of(s.row, lib, perOperation); len(took) > 0 {
				line.XValues = append(line.XValues, math.Log10(float64(x)))
				line.YValues = append(line.YValues, math.Log10(took.median()))
			}
		}
		if len(line.XValues) > 0 {
			series = append(series, line)
		}
	}
	c := chart.Chart{
		Title: p.title, Width: 860, Height: 420,
		Background: chart.Style{Padding: chart.Box{Top: 50, Left: 210, Right: 20, Bottom: 20}, FillColor: drawing.ColorWhite},
		XAxis:      chart.XAxis{Name: p.axis, Ticks: ticks},
		YAxis: chart.YAxis{
			Range:          &chart.ContinuousRange{Min: 4.7, Max: 9}, // from 50 µs to 1 s
			Ticks:          []chart.Tick{{Value: 4.7, Label: "50 µs"}, {Value: 5, Label: "0.1 ms"}, {Value: 6, Label: "1 ms"}, {Value: 7, Label: "10 ms"}, {Value: 8, Label: "100 ms"}, {Value: 9, Label: "1 s"}},
			GridMajorStyle: chart.Style{StrokeColor: drawing.ColorFromHex("e1e5ec"), StrokeWidth: 1},
		},
		Series: series,
	}
	c.Elements = []chart.Renderable{chart.LegendLeft(&c)}
	var out bytes.Buffer
	if err := c.Render(chart.SVG, &out); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// sortedBy returns the scrapes on an axis, in its order.
func sortedBy(at func(scraped) int) []scraped {
	on := slices.DeleteFunc(slices.Clone(scrapes), func(s scraped) bool { return at(s) == 0 })
	slices.SortFunc(on, func(a, b scraped) int { return cmp.Compare(at(a), at(b)) })
	return on
}

// writePlots writes the plots to their files.
func writePlots(r *results) error {
	for _, p := range plots {
		svg, err := p.draw(r)
		if err != nil {
			return err
		}
		if err := os.WriteFile(p.file, svg, 0o644); err != nil {
			return err
		}
	}
	return nil
}
