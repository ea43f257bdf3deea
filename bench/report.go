package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
	"unicode/utf8"
)

// conditions are the conditions of the measurement.
type conditions struct {
	Date    time.Time
	Command string
	Rounds  int
	Machine string
	Load    string // of the machine meanwhile
}

// machine describes the machine of the program.
func machine(cpu string) string {
	m := fmt.Sprintf("%d cores of %s, %s/%s", runtime.NumCPU(), cpu, runtime.GOOS, runtime.GOARCH)
	if kernel, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		version, _, _ := strings.Cut(strings.TrimSpace(string(kernel)), "-") // without the distribution's part
		m += ", Linux " + version
	}
	return m
}

const legend = `Times are medians of the rounds, ± half the width of their middle half. The ratio is the median of the ratios of each
round, with its middle half in brackets. "All cores on one" is as many goroutines as cores on one instrument. New series
are made in vecs of 10,000, one label each. A scrape is gather, merge and text encoding; the processes are real
ones, which are quiet meanwhile, and the scraping one counts nothing. Beside it stands one plain registry that holds the
same series once. Everything is on tmpfs where the system has one.

The 99.9th percentile is that of 64 goroutines with a series each, which make 10⁶ increments in a second together while
all is scraped each second in the same process; two looks at the clock are part of it. A process with ten series is one
program that makes them, counts to ten and exits without closing the store; beside it stands the same with a registry.
Of new series in a row it is that of one goroutine that makes them in a new vec, and of another one that looks up a
series which is there. A new series waits for room in the file, and whoever looks up waits for the lock of the vec.
"100,000 absorbed, beside none" compares two of ours. Allocations are all of a scrape, resident memory is all of a
process after a garbage collection, the pages of its file too. Of 64 × 100,000 counters the memory is the heap that the
collector keeps from one scrape to the next, beside the length of the text. That row has %d rounds in one run,
client_golang's before ours, and the percentile has %d runs. Disk is what the file system has allocated.
`

func report(r *results, c conditions) string {
	var out strings.Builder
	fmt.Fprintf(&out, "# Figures\n\n`%s`, %s, %s, %s, %d rounds. %s\n\n", c.Command, c.Date.Format(time.DateOnly), c.Machine, runtime.Version(), c.Rounds, c.Load)
	table := [][]string{{"", "client_golang", "mpmetrics", "ratio", "target", "reached"}}
	for _, row := range rows {
		table = append(table, row.cells(r))
	}
	align(&out, table)
	fmt.Fprintf(&out, "\n"+legend, slowRounds, slowRounds)
	return out.String()
}

// cells are the cells of a row of the report.
func (row row) cells(r *results) []string {
	golang, ours := r.of(row.name, "client_golang", row.unit), r.of(row.name, "mpmetrics", row.unit)
	if row.beside != "" {
		golang = r.of(row.beside, "mpmetrics", row.unit)
	}
	if len(ours) == 0 {
		return []string{row.what, "", "not measured", "", "", ""}
	}
	ratio := pairs(ours, golang, func(a, b float64) float64 { return a / b })
	cells := []string{row.what, "", row.quantity(ours), "", "", ""}
	if len(golang) > 0 {
		cells[1] = row.quantity(golang)
		cells[3] = fmt.Sprintf("%.2f (%.2f–%.2f)", ratio.median(), ratio.quantile(0.25), ratio.quantile(0.75))
	}
	switch t := row.target; {
	case t.ratio > 0:
		cells[4], cells[5] = fmt.Sprintf("≤ %g", t.ratio), verdict(ratio, t.ratio)
	case t.more > 0:
		more := pairs(ours, golang, func(a, b float64) float64 { return a - b })
		cells[4], cells[5] = "≤ + "+row.format(t.more), verdict(more, t.more)
	case t.value > 0:
		cells[4], cells[5] = "≤ "+row.format(t.value), verdict(ours, t.value)
	}
	return cells
}

// verdict compares with a target. If a quarter of the rounds are on the good side, a miss is not
// proven.
func verdict(s sample, limit float64) string {
	switch {
	case s.median() <= limit:
		return "yes"
	case s.quantile(0.25) <= limit:
		return "no, by less than the noise"
	}
	return "**no**"
}

func (row row) quantity(s sample) string {
	text := row.format(s.median())
	if row.unit == perOperation || row.unit == rareLatency {
		text += fmt.Sprintf(" ±%.0f%%", 100*s.spread())
	}
	return text
}

func (row row) format(v float64) string {
	unit, step, larger := "ns", 1000.0, []string{"µs", "ms", "s"}
	switch row.unit {
	case allocations:
		return fmt.Sprintf("%.0f", v)
	case diskBytes:
		return fmt.Sprintf("%.0f KiB", v/1024)
	case residentBytes, outputBytes:
		unit, step, larger = "B", 1024, []string{"KiB", "MiB", "GiB"}
	}
	for _, next := range larger {
		if v < step {
			break
		}
		v, unit = v/step, next
	}
	digits := 0
	for limit := 100.0; v < limit && digits < 2; limit /= 10 {
		digits++
	}
	return fmt.Sprintf("%.*f %s", digits, v, unit)
}

// align writes a table of Markdown with aligned columns, readable without rendering.
func align(out *strings.Builder, table [][]string) {
	widths := make([]int, len(table[0]))
	for _, cells := range table {
		for i, cell := range cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for n, cells := range table {
		for i, cell := range cells {
			fmt.Fprintf(out, "| %s%s ", cell, strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)))
		}
		out.WriteString("|\n")
		if n == 0 {
			for _, width := range widths {
				out.WriteString("| " + strings.Repeat("-", width) + " ")
			}
			out.WriteString("|\n")
		}
	}
}
