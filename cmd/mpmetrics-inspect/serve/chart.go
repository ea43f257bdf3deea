package serve

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// The size of the drawing, in its own units; the page scales the drawing.
const (
	chartWidth  = 720
	chartHeight = 220
	chartLeft   = 56 // for the numbers of the axis
	chartBottom = 20 // for the times
	chartTop    = 16

	// maxLines is the number of processes with their own line, and of colours.
	maxLines = 8

	// A line is broken where so many samples are missing.
	maxMissing = 3

	// A larger rate is drawn at the edge, because an axis cannot end above the largest float64.
	maxRate = 1e300
)

// drawn reports whether there is a place for a point: a counter may be given Inf.
func (p point) drawn() bool { return !math.IsNaN(p.rate) && !math.IsInf(p.rate, 0) }

// chart is a drawing of rates over time, in the form of the template.
type chart struct {
	Width, Height         int
	Lines                 []line
	Others                int // processes without a line
	Levels                []level
	Moments               []moment
	Left, Right, Baseline float64
}

// line is one process.
type line struct {
	Number int // index of the colour
	Name   string
	Path   string
	Rate   string
}

// level is a horizontal line with its number.
type level struct {
	Y    float64
	Text string
}

// moment is a time on the axis.
type moment struct {
	X    float64
	Text string
}

// draw draws rates; interval is the usual interval between samples. draw returns nil if no rate is
// known yet.
func draw(all []rates, from, to time.Time, interval time.Duration, name func(process string) string) *chart {
	if len(all) == 0 || !to.After(from) {
		return nil
	}
	top := 0.0
	for i, r := range all {
		if i < maxLines {
			for _, p := range r.points {
				if p.drawn() {
					top = max(top, min(p.rate, maxRate))
				}
			}
		}
	}
	top, step := scale(top)
	c := &chart{
		Width: chartWidth, Height: chartHeight, Left: chartLeft, Right: chartWidth, Baseline: chartHeight - chartBottom,
		Others: max(0, len(all)-maxLines),
	}
	x := func(t time.Time) float64 {
		return chartLeft + (chartWidth-chartLeft)*float64(t.Sub(from))/float64(to.Sub(from))
	}
	y := func(v float64) float64 { return c.Baseline - (c.Baseline-chartTop)*v/top }
	for v := 0.0; v <= top*1.001; v += step {
		c.Levels = append(c.Levels, level{y(v), humanNumber(v)})
	}
	for _, part := range []float64{0, 0.5, 1} {
		t := from.Add(time.Duration(part * float64(to.Sub(from))))
		c.Moments = append(c.Moments, moment{x(t), t.Local().Format(time.TimeOnly)})
	}
	for i, r := range all[:min(len(all), maxLines)] {
		var path strings.Builder
		var before time.Time
		for _, p := range r.points {
			if !p.drawn() {
				continue
			}
			verb := "L"
			if before.IsZero() || p.time.Sub(before) > maxMissing*interval {
				verb = "M"
			}
			fmt.Fprintf(&path, "%s%.1f %.1f", verb, x(p.time), y(min(p.rate, maxRate)))
			before = p.time
		}
		c.Lines = append(c.Lines, line{i, name(r.process), path.String(), humanNumber(r.last)})
	}
	return c
}

// scale returns the end of an axis for values up to top, and the step: one, two or five times a
// power of ten. The axis has four to eight steps.
func scale(top float64) (end, step float64) {
	if top < 1/maxRate {
		return 1, 0.25
	}
	const steps = 4
	raw := top / steps
	magnitude := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, m := range []float64{1, 2, 5, 10} {
		if step = m * magnitude; step >= raw {
			break
		}
	}
	return step * math.Ceil(top/step), step
}

// humanNumber formats a number for people.
func humanNumber(v float64) string {
	switch a := math.Abs(v); {
	case a >= 1e9:
		return fmt.Sprintf("%.3gG", v/1e9)
	case a >= 1e6:
		return fmt.Sprintf("%.3gM", v/1e6)
	case a >= 1e4:
		return fmt.Sprintf("%.3gk", v/1e3)
	case a >= 100 || v == math.Trunc(v):
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}
