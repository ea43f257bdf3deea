package main

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/spf13/cobra"

	"github.com/mpmetrics/mpmetrics/internal/inspect"
)

func (e *environment) check() *cobra.Command {
	lint := false
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check every file, the archive, and definitions for conflicts",
		Long: `Check every file and the archive: pages, checksums, records, cells that have to add
up, versions. Then the families: conflicts of type, help, mode, labels, buckets and
names between processes. With --lint also the names and help texts, by the rules of
promtool check metrics.

Exit status 3 if anything was found.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			i, s, err := e.read()
			if err != nil {
				return err
			}
			defer i.Close()
			problems := s.Problems
			if lint {
				linted, err := lintProblems(s)
				if err != nil {
					return err
				}
				problems = append(problems, linted...)
			}
			if e.format == jsonFormat {
				err = writeJSON(e.stdout, jsonCheck{documentOf("check", s), len(s.Processes), len(s.Families), s.Archive.Exists, jsonProblemsOf(problems)})
			} else {
				e.writeProblems(problems)
				fmt.Fprintf(e.stdout, "checked %d files of processes, %s, %d families: %s\n", len(s.Processes), archiveWord(s), len(s.Families), found(len(problems)))
			}
			if err != nil || len(problems) == 0 {
				return err
			}
			return errProblems
		},
	}
	cmd.Flags().BoolVar(&lint, "lint", false, "also names and help texts, as promtool check metrics does")
	e.outputFlag(cmd, tableFormat, jsonFormat)
	return cmd
}

type jsonCheck struct {
	document
	Files    int           `json:"files"`
	Families int           `json:"families"`
	Archive  bool          `json:"archive"`
	Problems []jsonProblem `json:"problems"`
}

func archiveWord(s *inspect.Survey) string {
	if s.Archive.Written.IsZero() {
		return "no archive"
	}
	return "the archive"
}

func found(n int) string {
	switch n {
	case 0:
		return "nothing is wrong"
	case 1:
		return "1 problem"
	}
	return fmt.Sprintf("%d problems", n)
}

// lintProblems are the findings of client_golang's linter.
func lintProblems(s *inspect.Survey) ([]inspect.Problem, error) {
	families, err := s.Gather(nil)
	if err != nil {
		return nil, err
	}
	linted, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		return nil, err
	}
	problems := make([]inspect.Problem, 0, len(linted))
	for _, l := range linted {
		problems = append(problems, inspect.Problem{
			Severity: inspect.Warning, Subject: inspect.Escape(l.Metric), Reason: "lint", What: inspect.Escape(l.Text),
			Means: "it works, but breaks a convention", Remedy: "rename it or give it a help text; see https://prometheus.io/docs/practices/naming",
		})
	}
	return problems, nil
}
