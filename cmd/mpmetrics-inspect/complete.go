package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/mpmetrics/mpmetrics/internal/inspect"
)

// completeNames offers the names of the families in the directory.
func (e *environment) completeNames(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	i, s, err := e.read()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer i.Close()
	names := make([]cobra.Completion, 0, len(s.Families))
	for _, f := range s.Families {
		names = append(names, inspect.SeriesText(f.Name, nil))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeProcesses offers the pids and the files of the processes in the directory.
func (e *environment) completeProcesses(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	i, s, err := e.read()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	defer i.Close()
	pids := make([]cobra.Completion, 0, len(s.Processes))
	for _, p := range s.Processes {
		pids = append(pids, cobra.CompletionWithDesc(strconv.Itoa(p.PID), fmt.Sprintf("%s, %s", inspect.Escape(p.Program), p.State)))
	}
	return pids, cobra.ShellCompDirectiveDefault
}
