package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

func (e *environment) version() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of the command, and of the file format that it reads",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			fmt.Fprintln(e.stdout, versionText())
			return nil
		},
	}
}

// versionText is the version of the module, as go install writes the version into the program.
func versionText() string {
	version, revision := "(devel)", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		if info.Main.Version != "" {
			version = info.Main.Version
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = " " + s.Value
			}
		}
	}
	return fmt.Sprintf("%s %s%s, file format %d, %s %s/%s", program, version, revision, layout.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
