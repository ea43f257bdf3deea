package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mpmetrics/mpmetrics/internal/inspect"
)

func (e *environment) doctor() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look at the environment, and say what will hurt and how to mend it",
		Long: `Look at the environment: the directory, its owner and mode, its kind of file system,
whether locks exclude, space and inodes, who shares the directory, files that do not
belong there, dead processes that nobody absorbs, the archive, and whether a scrape
ends in time. docs/operations.md explains each finding.

Exit status 3 if anything is not as it should be.`,
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
