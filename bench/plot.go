package main

import (
	"bytes"
	"math"
	"os"

	chart "github.com/wcharczuk/go-chart/v2"
	"github.com/wcharczuk/go-chart/v2/drawing"
)

// plotFile shows the time of a scrape against the number of processes.
const plotFile = "scrape.svg"

// libraries are those of the plot, the floor first.
func libraries() []string {
	names := []string{"client_golang", "mpmetrics"}
	for _, p := range peers {
		names = append(names, p.name)
	}
	return names
}

var colors = []drawing.Color{
	drawing.ColorFromHex("8a929e"), drawing.ColorFromHex("2f6fde"), drawing.ColorFromHex("d9730d"), drawing.ColorFromHex("c2418f"), drawing.ColorFromHex("2b9a66"),
}

// plot draws the scrapes of counters. Both axes are logarithmic: what costs as much for each process is a straight
// line, and the same distance is the same factor.
func plot(r *results) ([]byte, error) {
	var series []chart.Series
	var ticks []chart.Tick
	for i, lib := range libraries() {
		line := chart.ContinuousSeries{
			Name: lib, Style: chart.Style{StrokeColor: colors[i], StrokeWidth: 2.5, DotColor: colors[i], DotWidth: 4},
		}
		if lib == "client_golang" {
			line.Name = "client_golang, one process"
		}
		for _, s := range scrapes {
			if s.shape != "counters" {
				continue
			}
			if i == 0 {
				ticks = append(ticks, chart.Tick{Value: math.Log10(float64(s.processes)), Label: chart.FloatValueFormatterWithFormat(float64(s.processes), "%.0f")})
			}
			if took := r.of(s.row, lib, perOperation); len(took) > 0 {
				line.XValues = append(line.XValues, math.Log10(float64(s.processes)))
				line.YValues = append(line.YValues, math.Log10(took.median()))
			}
		}
		if len(line.XValues) > 0 {
			series = append(series, line)
		}
	}
	c := chart.Chart{
		Title: "A scrape of so many processes of 1000 counters", Width: 860, Height: 420,
		Background: chart.Style{Padding: chart.Box{Top: 50, Left: 210, Right: 20, Bottom: 20}, FillColor: drawing.ColorWhite},
		XAxis:      chart.XAxis{Name: "processes", Ticks: ticks},
		YAxis: chart.YAxis{
			Range:          &chart.ContinuousRange{Min: 5.3, Max: 9}, // from 0.2 ms to 1 s
			Ticks:          []chart.Tick{{Value: 5.3, Label: "0.2 ms"}, {Value: 6, Label: "1 ms"}, {Value: 7, Label: "10 ms"}, {Value: 8, Label: "100 ms"}, {Value: 9, Label: "1 s"}},
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

// writePlot draws the plot into its file.
func writePlot(r *results) error {
	svg, err := plot(r)
	if err != nil {
		return err
	}
	return os.WriteFile(plotFile, svg, 0o644)
}
