package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"

	"github.com/spf13/cobra"

	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/internal/inspect"
)

func (e *environment) gc() *cobra.Command {
	dryRun := false
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "Absorb dead processes into the archive now",
		Long: `Absorb dead processes into the archive now, as a scrape does in the background:
their counts move into the archive, exactly once, and their files are
removed. No process has to stop, and gc may be interrupted at any moment.

Damaged files go into quarantine. As root gc leaves files of the owner of the
directory.

Exit status 3 if files were put aside or had to be left, 1 if another absorption is at
work.`,
		Example: "  mpmetrics-inspect gc --dry-run\n  sudo mpmetrics-inspect gc --dir /dev/shm/shop",
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dryRun {
				return e.wouldAbsorb()
			}
			return e.absorb(cmd.Context())
		},
	}
	cmd.Flags().BoolVarP(&dryRun, "dry-run", "n", false, "show the effect, and do nothing")
	e.outputFlag(cmd, tableFormat, jsonFormat)
	return cmd
}

type jsonAbsorption struct {
	document
	DryRun      bool        `json:"dry_run"`
	Absorbed    int         `json:"absorbed"`
	Removed     int         `json:"removed"`
	Quarantined []jsonAside `json:"quarantined"`
	Left        []jsonAside `json:"left"`
	Temporary   int         `json:"temporary_removed"`
	Unabsorbed  int         `json:"sums_not_finite"`
	Expired     int         `json:"samples_expired"`
	Forgotten   int         `json:"series_forgotten"`
	Pruned      int         `json:"ids_pruned"`
	Anew        string      `json:"totals_began_anew,omitempty"`
	Series      int         `json:"archive_series"`
	Bytes       int64       `json:"archive_bytes"`
	Seconds     float64     `json:"seconds"`
}

type jsonAside struct {
	File   string `json:"file"`
	Reason string `json:"reason"`
	Error  string `json:"error,omitempty"`
}

func jsonAsideOf(files []compact.LeftFile) []jsonAside {
	all := make([]jsonAside, 0, len(files))
	for _, f := range files {
		j := jsonAside{File: f.Name, Reason: f.Reason}
		if f.Err != nil {
			j.Error = f.Err.Error()
		}
		all = append(all, j)
	}
	return all
}

// wouldAbsorb reports the effect of an absorption.
func (e *environment) wouldAbsorb() error {
	i, s, err := e.read()
	if err != nil {
		return err
	}
	defer i.Close()
	j := jsonAbsorption{document: documentOf("gc", s), DryRun: true, Quarantined: []jsonAside{}, Left: []jsonAside{}, Series: s.Archive.Series, Bytes: s.Archive.Bytes}
	for _, p := range s.Processes {
		switch p.State {
		case inspect.Dead:
			j.Absorbed++
		case inspect.Archived:
			j.Removed++
		case inspect.Damaged:
			j.Quarantined = append(j.Quarantined, jsonAside{p.Name, string(p.Reason), p.Err.Error()})
		case inspect.Refused, inspect.Unreadable:
			j.Left = append(j.Left, jsonAside{p.Name, string(p.Reason), p.Err.Error()})
		}
	}
	j.Anew = anew(s)
	if e.format == jsonFormat {
		if err := writeJSON(e.stdout, j); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(e.stdout, "would absorb %d processes, remove %d files that were absorbed before, put %d aside if they are dead, leave %d\n",
			j.Absorbed, j.Removed, len(j.Quarantined), len(j.Left))
		if j.Anew != "" {
			fmt.Fprintf(e.stdout, "totals would restart: %s\n", j.Anew)
		}
	}
	return e.report(s.Problems)
}

// anew is the reason why an absorption would restart totals, empty if totals would go on.
func anew(s *inspect.Survey) string {
	if s.Err != nil && slices.ContainsFunc(s.Processes, func(p *inspect.Process) bool { return p.State == inspect.Dead && p.OtherBoot() }) {
		return "files were written before the last start of the machine"
	}
	return ""
}

func (e *environment) absorb(ctx context.Context) error {
	i, err := e.open()
	if err != nil {
		return err
	}
	s := i.Read()
	access, directory := i.Access(), s.Directory
	n, all := s.Count(inspect.Dead), len(s.Processes)
	i.Close()
	if !s.Present {
		return present(s)
	}
	bar := e.progress("absorbing", n)
	stop := func() {} // on a server an absorption is one exchange
	if !s.Remote {
		stop = bar.follow(func() int { return all - left(directory) })
	}
	report, err := compact.Run(ctx, s.Parent, compact.Opts{
		Limits: compact.Limits{CoreShare: 1}, ArchiveDir: e.archiveDir, GroupShared: access.GroupShared, AllowNetworkFS: access.AllowNetworkFS,
		Logger: slog.New(slog.DiscardHandler),
	})
	stop()
	switch {
	case errors.Is(err, compact.ErrBusy):
		return hinted{err, "a collector absorbs in the background of a scrape: it will be done without you"}
	case errors.Is(err, fs.ErrNotExist):
		return hinted{err, "no process with this directory has counted anything yet"}
	case err != nil:
		return err
	}
	if e.format == jsonFormat {
		err = writeJSON(e.stdout, jsonAbsorption{
			document: documentOf("gc", s), Absorbed: report.Absorbed, Removed: report.Removed,
			Quarantined: jsonAsideOf(report.Quarantined), Left: jsonAsideOf(report.Left), Temporary: report.Temporary,
			Unabsorbed: report.Unabsorbed, Expired: report.Expired, Forgotten: report.Forgotten, Pruned: report.Pruned,
			Anew: report.Aside, Series: report.Series, Bytes: report.Bytes, Seconds: report.Took.Seconds(),
		})
	} else {
		fmt.Fprintf(e.stdout, "%s, in %s; the archive has %d series, %s\n", inspect.Escape(report.String()), inspect.HumanDuration(report.Took), report.Series, inspect.HumanSize(report.Bytes))
	}
	if err != nil {
		return err
	}
	for _, files := range []struct {
		what string
		all  []compact.LeftFile
	}{{"put into quarantine", report.Quarantined}, {"left", report.Left}} {
		for _, f := range files.all {
			e.complain(fmt.Sprintf("%s: %s: %s: %v", inspect.Escape(f.Name), files.what, f.Reason, f.Err))
		}
	}
	if report.Aside != "" || len(report.Quarantined)+len(report.Left) > 0 {
		return errProblems
	}
	return nil
}

// left is how many files of processes are in a directory.
func left(dir string) int {
	n, err := inspect.CountFiles(dir)
	if err != nil {
		return 0
	}
	return n
}
