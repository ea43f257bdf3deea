package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mpmetrics/mpmetrics/internal/inspect"
)

func (e *environment) doctor() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check the environment, and show problems with their remedies",
		Long: `Check the environment: the directory, its owner and mode, its kind of file system,
whether locks exclude, space and inodes, programs that share the directory, foreign
files, dead processes without an absorption, the archive, and whether a scrape
ends in time. docs/operations.md explains each finding.

Exit status 3 if any check fails.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			i, err := e.open()
			if err != nil {
				return err
			}
			defer i.Close()
			s := i.Read()
			findings := s.Doctor()
			problems := 0
			for _, f := range findings {
				if f.Severity != inspect.OK {
					problems++
				}
			}
			if e.format == jsonFormat {
				j := jsonDoctor{document: documentOf("doctor", s), Findings: []jsonFinding{}}
				for _, f := range findings {
					j.Findings = append(j.Findings, jsonFinding{f.Check, jsonProblemsOf([]inspect.Problem{f.Problem})[0]})
				}
				if err := writeJSON(e.stdout, j); err != nil {
					return err
				}
			} else {
				for _, f := range findings {
					e.writeFinding(f.Check, f.Problem)
				}
				fmt.Fprintln(e.stdout, found(problems))
			}
			if problems > 0 {
				return errProblems
			}
			return nil
		},
	}
	e.outputFlag(cmd, tableFormat, jsonFormat)
	return cmd
}

type jsonDoctor struct {
	document
	Findings []jsonFinding `json:"findings"`
}

type jsonFinding struct {
	Check string `json:"check"`
	jsonProblem
}
