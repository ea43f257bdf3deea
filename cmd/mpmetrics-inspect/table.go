package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/mpmetrics/mpmetrics/internal/inspect"
)

// grid is rows under named columns: a table for people, or comma-separated values
// for programs.
type grid struct {
	columns []column
	rows    [][]cell
}

// column has a name, in lower case.
type column struct {
	name  string
	right bool // numbers
}

// cell is a value, in a form for people and exactly.
type cell struct {
	human string
	exact string
	color text.Colors
}

func (g *grid) add(cells ...cell) { g.rows = append(g.rows, cells) }

// plain is a cell with the same text in both forms.
func plain(s string) cell { return cell{human: s, exact: s} }

func (c cell) in(color text.Colors) cell {
	c.color = color
	return c
}

// Colours.
var (
	good  = text.Colors{text.FgGreen}
	faint = text.Colors{text.Faint}
	wrong = text.Colors{text.FgRed, text.Bold}
	warn  = text.Colors{text.FgYellow}
)

// table writes the grid aligned.
func (g *grid) table(out io.Writer, colors bool) {
	t := table.NewWriter()
	style := table.StyleDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Box.PaddingLeft, style.Box.PaddingRight = "", "  "
	style.Format.Header = text.FormatUpper
	t.SetStyle(style)
	header := make(table.Row, len(g.columns))
	configs := make([]table.ColumnConfig, len(g.columns))
	for i, c := range g.columns {
		header[i] = strings.ReplaceAll(c.name, "_", " ")
		configs[i] = table.ColumnConfig{Number: i + 1, Align: text.AlignLeft, AlignHeader: text.AlignLeft}
		if c.right {
			configs[i].Align, configs[i].AlignHeader = text.AlignRight, text.AlignRight
		}
	}
	t.SetColumnConfigs(configs)
	t.AppendHeader(header)
	for _, row := range g.rows {
		r := make(table.Row, len(row))
		for i, c := range row {
			r[i] = c.human
			if colors && c.color != nil {
				r[i] = c.color.Sprint(c.human)
			}
		}
		t.AppendRow(r)
	}
	for line := range strings.SplitSeq(t.Render(), "\n") {
		fmt.Fprintln(raw(out), strings.TrimRight(line, " "))
	}
}

// csv writes the grid exactly.
func (g *grid) csv(out io.Writer) error {
	w := csv.NewWriter(out)
	record := make([]string, len(g.columns))
	for i, c := range g.columns {
		record[i] = c.name
	}
	err := w.Write(record)
	for _, row := range g.rows {
		for i, c := range row {
			record[i] = c.exact
		}
		if err == nil {
			err = w.Write(record)
		}
	}
	w.Flush()
	if err == nil {
		err = w.Error()
	}
	return err
}

// number is a cell with an integer.
func number[T int | int64 | uint64](n T) cell { return plain(fmt.Sprint(n)) }

// size is a cell with a number of bytes.
func size(n int64) cell { return cell{human: inspect.HumanSize(n), exact: fmt.Sprint(n)} }

// moment is a cell with a time, empty for the zero time.
func moment(t time.Time) cell {
	if t.IsZero() {
		return cell{human: "-"}
	}
	return cell{human: t.Local().Format(time.DateTime), exact: t.UTC().Format(time.RFC3339Nano)}
}

// since is a cell with an age.
func since(t, now time.Time) cell {
	if t.IsZero() {
		return cell{human: "-"}
	}
	d := now.Sub(t)
	return cell{human: inspect.HumanDuration(d), exact: fmt.Sprint(d.Seconds())}
}
