package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/internal/inspect"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/salvage"
)

func (e *environment) repair() *cobra.Command {
	yes := false
	cmd := &cobra.Command{
		Use:   "repair FILE...",
		Short: "Save the readable part of damaged files into new files",
		Long: `Save the readable part of damaged files of dead processes into new files, which are
counted and absorbed like any other. The damaged files are in quarantine afterwards;
a file already in quarantine can be repaired too, and stays there. Without --yes
repair lists the readable and the lost parts, and changes nothing.

Names and labels have checksums, values have none: look at the largest values before you
say yes. An absorbed value cannot be taken out of a total again. Lost series leave
the totals, even if a collector has still shown them.

The file of a living process is not repaired: the process replaces the file by itself.

Exit status 3 if a part of a file is lost.`,
		Example: "  mpmetrics-inspect repair /dev/shm/shop/mpmetrics/quarantine/*.mpm\n  mpmetrics-inspect repair --yes /dev/shm/shop/mpmetrics/quarantine/4711-….mpm",
		Args:    usageArgs(cobra.MinimumNArgs(1)),
		RunE:    func(_ *cobra.Command, args []string) error { return e.repairAll(args, yes) },
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do it")
	e.outputFlag(cmd, tableFormat, jsonFormat)
	return cmd
}

type jsonRepair struct {
	Version int              `json:"version"`
	Kind    string           `json:"kind"`
	DryRun  bool             `json:"dry_run"`
	Files   []jsonRepairFile `json:"files"`
}

type jsonRepairFile struct {
	File     string   `json:"file"`
	Repaired bool     `json:"repaired"`
	Families int      `json:"families"`
	Series   int      `json:"series"`
	Mirrored int      `json:"mirrored_families"`
	Lost     []string `json:"lost"`
	Error    string   `json:"error,omitempty"`
}

// repairAll repairs files, in order.
func (e *environment) repairAll(paths []string, yes bool) error {
	j := jsonRepair{Version: jsonVersion, Kind: "repair", DryRun: !yes, Files: []jsonRepairFile{}}
	bar := e.progress("repairing", len(paths))
	var failed, lost int
	for n, path := range paths {
		bar.set(n)
		file := jsonRepairFile{File: path, Lost: []string{}}
		dir := filepath.Dir(path)
		found, err := salvage.Repair(path, salvage.Opts{ArchiveDir: e.archiveDir, Access: inspect.AccessOf(dir, e.access), DryRun: !yes})
		switch {
		case errors.Is(err, salvage.ErrFine):
			if e.format == tableFormat {
				fmt.Fprintf(e.stdout, "%s: not damaged\n", inspect.Escape(path))
			}
		case err != nil:
			failed++
			file.Error = err.Error()
			e.complain(inspect.Escape(err.Error()))
			e.hint(repairHint(err))
		default:
			file.Repaired, file.Families, file.Series, file.Mirrored = yes, len(found.Families), len(found.Series), len(found.Mirrored)
			file.Lost = append(file.Lost, found.Lost...)
			lost += len(found.Lost)
			if e.format == tableFormat {
				e.writeFound(path, found, yes)
			}
		}
		j.Files = append(j.Files, file)
	}
	bar.set(len(paths))
	bar.end()
	if e.format == jsonFormat {
		if err := writeJSON(e.stdout, j); err != nil {
			return err
		}
	}
	switch {
	case failed == 1:
		return errTold
	case failed > 0:
		return fmt.Errorf("%d of %d files could not be repaired", failed, len(paths))
	case lost > 0:
		return errProblems
	}
	return nil
}

func repairHint(err error) string {
	for _, h := range []struct {
		is   error
		hint string
	}{
		{salvage.ErrLives, "wait a second; mpmetrics-inspect ls shows whether it has"},
		{salvage.ErrAbsorbed, "nothing is missing; the file can be removed"},
		{salvage.ErrThere, "nothing is missing"},
		{salvage.ErrBoot, "its counts belong to totals before the restart: adding them to the new totals would be wrong"},
		{salvage.ErrRestarted, "its counts belong to totals before the restart: adding them to the new totals would be wrong"},
		{salvage.ErrForgotten, "its counts may be in the totals already: adding them once more would be wrong"},
		{salvage.ErrNotDamaged, "mpmetrics-inspect check explains the reason"},
		{salvage.ErrNothing, "the file can be removed once you know the reason"},
		{compact.ErrBusy, "try again"},
		{os.ErrNotExist, "mpmetrics-inspect ls --wide lists the files, and the quarantine is a directory beside them"},
	} {
		if errors.Is(err, h.is) {
			return h.hint
		}
	}
	return "nothing was changed"
}

// writeFound shows the saved part of a file.
func (e *environment) writeFound(path string, f *salvage.Found, done bool) {
	verb := "would save"
	if done {
		verb = "saved"
	}
	fmt.Fprintf(e.stdout, "%s: %s %d series of %d families, and %d mirrored families\n", inspect.Escape(path), verb, len(f.Series), len(f.Families), len(f.Mirrored))
	for _, l := range f.Lost {
		fmt.Fprintf(e.stdout, "    lost: %s\n", inspect.Escape(l))
	}
	for _, c := range largest(f, 5) {
		fmt.Fprintf(e.stdout, "    %s %s\n", inspect.FormatNumber(c.value), c.series)
	}
	if !done {
		fmt.Fprintln(e.stdout, "    nothing was changed: --yes does it")
	}
}

type counted struct {
	series string
	value  float64
}

// largest are the counters with the largest values.
func largest(f *salvage.Found, n int) []counted {
	var all []counted
	for _, s := range f.Series {
		family := f.Families[s.Family]
		if family.Type != layout.Counter || family.ByMode() {
			continue
		}
		labels := slices.Clone(family.ConstLabels)
		for i, v := range s.Values {
			labels = append(labels, layout.Label{Name: family.LabelNames[i], Value: v})
		}
		all = append(all, counted{inspect.SeriesText(family.Name, labels), float64(s.Cells[0]) + math.Float64frombits(s.Cells[1])})
	}
	slices.SortStableFunc(all, func(a, b counted) int {
		switch {
		case a.value > b.value:
			return -1
		case a.value < b.value:
			return +1
		}
		return 0
	})
	return all[:min(n, len(all))]
}
