package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// root is the command with all verbs.
func (e *environment) root() *cobra.Command {
	cobra.EnableCommandSorting = false // by worth, not by letter
	list := e.ls()
	root := &cobra.Command{
		Use:   program,
		Short: "See, explain and repair a shared directory of mpmetrics",
		Long: `See, explain and repair a shared directory of mpmetrics.

Works on the directory of a running service without disturbing anybody, and writes
nothing unless the verb says so. Without a verb it lists the processes, as ls does.

The directory comes from --dir, else from $MPMETRICS_URL, else from $MPMETRICS_DIR. A URL,
such as redis://host:6379/0?namespace=shop, names a server instead of a directory.

Exit status: 0 all is fine, 1 it failed, 2 the call is wrong, 3 problems were found.`,
		Example: `  mpmetrics-inspect --dir /dev/shm/shop
  mpmetrics-inspect --dir 'redis://10.0.0.5:6379/0?namespace=shop'
  mpmetrics-inspect get 'shop_orders_total{payment="card"}'
  mpmetrics-inspect doctor`,
		Args:              usageArgs(cobra.NoArgs),
		RunE:              list.RunE,
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
		Version:           versionText(),
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: false},
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	flags := root.PersistentFlags()
	flags.SortFlags = false
	flags.StringVarP(&e.dir, "dir", "d", "", "directory or URL of the service, as it is configured for it (default $MPMETRICS_URL, then $MPMETRICS_DIR)")
	flags.StringVar(&e.archiveDir, "archive-dir", "", "directory of the archive, if it is configured to be elsewhere (default $"+envArchiveDir+")")
	flags.DurationVar(&e.timeout, "timeout", 0, "time that reading may take; 8s by default, as in a scrape")
	flags.BoolVar(&e.access.GroupShared, "group-shared", false, "the directory is shared with a group: found out by itself where it exists")
	flags.BoolVar(&e.access.AllowNetworkFS, "allow-network-fs", false, "read a directory on a network file system too")
	root.Flags().AddFlagSet(list.Flags())
	root.AddGroup(&cobra.Group{ID: look, Title: "Look:"}, &cobra.Group{ID: judge, Title: "Judge:"}, &cobra.Group{ID: change, Title: "Change:"})
	for _, verb := range []struct {
		group string
		cmd   *cobra.Command
	}{
		{look, list},
		{look, e.show()},
		{look, e.get()},
		{look, e.dump()},
		{look, e.top()},
		{look, e.watch()},
		{look, e.diff()},
		{judge, e.check()},
		{judge, e.doctor()},
		{judge, e.analyze()},
		{look, e.serve()},
		{change, e.gc()},
		{change, e.repair()},
	} {
		verb.cmd.GroupID = verb.group
		root.AddCommand(verb.cmd)
	}
	root.SetHelpCommand(e.help())
	root.AddCommand(e.version(), e.man())
	return root
}

// Groups of verbs in the help.
const (
	look   = "look"
	judge  = "judge"
	change = "change"
)

// usageArgs turns the error of an argument check into a usage error.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			if cmd.HasParent() {
				err = fmt.Errorf("%s: %w", cmd.Name(), err)
			}
			return usageError{err}
		}
		return nil
	}
}

// Formats of output.
const (
	tableFormat = "table"
	jsonFormat  = "json"
	csvFormat   = "csv"
	openMetrics = "openmetrics"
	promFormat  = "prom"
)

// outputFlag adds --output to a verb; the first format is the default. RunE asks for
// the format first.
func (e *environment) outputFlag(cmd *cobra.Command, formats ...string) {
	cmd.Flags().StringP("output", "o", formats[0], "format: "+strings.Join(formats, ", "))
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		e.format, _ = cmd.Flags().GetString("output")
		if !slices.Contains(formats, e.format) {
			return usagef("--output %s: want %s", e.format, strings.Join(formats, ", "))
		}
		return run(cmd, args)
	}
}

// matchFlag adds --match to a verb.
func (e *environment) matchFlag(cmd *cobra.Command) {
	defer func() { _ = cmd.RegisterFlagCompletionFunc("match", e.completeNames) }()
	cmd.Flags().StringVarP(&e.match, "match", "m", "", `only series that a PromQL selector means, such as 'shop_orders_total{payment="card"}'`)
}
