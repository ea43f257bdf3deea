package main

import (
	"fmt"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/mpmetrics/mpmetrics/internal/inspect"
)

func (e *environment) ls() *cobra.Command {
	wide := false
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List the processes that count in the directory, and the archive of the dead",
		Long: `List the processes that count in the directory, and the archive of the dead.

  live        the process lives: its file is locked
  locked      locked, and no such process: forked processes of it hold the lock
  dead        the process has ended, and waits for its absorption into the archive
  archived    the archive has the counts of the process; its file is about to be removed
  damaged     every scrape skips the file, because the file is damaged or foreign
  refused     every scrape skips the file: a copy, or of another version or user
  unreadable  the file could not be read this time
  gone        the file was removed by hand

Exit status 3 if a file could not be read, or if definitions conflict so that values
are not merged; standard error lists the problems, with meaning and remedy.`,
		Example: "  mpmetrics-inspect ls --wide\n  mpmetrics-inspect ls -o json | jq '.processes[] | select(.state == \"live\") | .pid'",
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			i, s, err := e.read()
			if err != nil {
				return err
			}
			defer i.Close()
			if err := e.writeList(s, wide); err != nil {
				return err
			}
			return e.report(s.Problems)
		},
	}
	cmd.Flags().BoolVarP(&wide, "wide", "w", false, "with host, label and file name")
	e.outputFlag(cmd, tableFormat, jsonFormat, csvFormat)
	return cmd
}

type jsonList struct {
	document
	Complete  bool          `json:"complete"`
	Processes []jsonProcess `json:"processes"`
	Archive   jsonArchive   `json:"archive"`
	Problems  []jsonProblem `json:"problems"`
}

func (e *environment) writeList(s *inspect.Survey, wide bool) error {
	switch e.format {
	case jsonFormat:
		l := jsonList{
			document: documentOf("ls", s), Complete: s.Err == nil, Processes: []jsonProcess{},
			Archive: jsonArchiveOf(s), Problems: jsonProblemsOf(s.Problems),
		}
		for _, p := range s.Processes {
			l.Processes = append(l.Processes, jsonProcessOf(p, s.Time))
		}
		return writeJSON(e.stdout, l)
	case csvFormat:
		return listGrid(s, true).csv(e.stdout)
	}
	listGrid(s, wide).table(e.stdout, e.colors())
	fmt.Fprintln(e.stdout, archiveText(s))
	return nil
}

func listGrid(s *inspect.Survey, wide bool) *grid {
	g := &grid{columns: []column{
		{name: "state"},
		{name: "pid", right: true},
		{name: "program"},
		{name: "started"},
		{name: "age", right: true},
		{name: "series", right: true},
		{name: "size", right: true},
		{name: "format", right: true},
	}}
	if wide {
		g.columns = append(g.columns, column{name: "host"}, column{name: "process"}, column{name: "file"})
	}
	for _, p := range s.Processes {
		row := []cell{
			plain(string(p.State)).in(stateColor(p.State)), number(p.PID), escaped(p.Program), moment(p.Start), since(p.Start, s.Time),
			number(p.SeriesTotal()), size(p.Bytes), format(p.Format),
		}
		if wide {
			row = append(row, escaped(p.Host), escaped(p.Label), escaped(p.Name))
		}
		g.add(row...)
	}
	return g
}

// escaped is a cell with text from a file.
func escaped(s string) cell {
	if s == "" {
		return cell{human: "-"}
	}
	return cell{human: inspect.Escape(s), exact: s}
}

func format(version int) cell {
	if version == 0 {
		return cell{human: "-"}
	}
	return number(version)
}

func stateColor(s inspect.State) text.Colors {
	switch s {
	case inspect.Live:
		return good
	case inspect.Dead, inspect.Archived:
		return faint
	}
	return wrong
}

func changeColor(what string) text.Colors {
	switch what {
	case inspect.Added:
		return good
	case inspect.Removed, inspect.Restarted:
		return warn
	}
	return nil
}

// archiveText is the line about the archive.
func archiveText(s *inspect.Survey) string {
	a := &s.Archive
	if !a.Exists {
		if a.Written.IsZero() {
			return "archive: none yet"
		}
		return "archive: cannot be read"
	}
	line := fmt.Sprintf("archive: %d series of %d absorbed processes, %s, last absorption %s", a.Series, a.Absorbed, inspect.HumanSize(a.Bytes), inspect.Ago(a.Last, s.Time))
	if a.Dead > 0 {
		line += fmt.Sprintf(", samples of %d of them", a.Dead)
	}
	if !a.Begun.IsZero() {
		line += ", totals restarted " + inspect.Ago(a.Begun, s.Time)
	}
	if n := len(s.Quarantine); n > 0 {
		line += fmt.Sprintf("; %d files in quarantine", n)
	}
	return line
}
