package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func (e *environment) man() *cobra.Command {
	out := ""
	cmd := &cobra.Command{
		Use:   "man [VERB]",
		Short: "Print a manual page, or write all of them into a directory",
		Example: "  mpmetrics-inspect man get | man -l -\n" +
			"  mpmetrics-inspect man --out /usr/local/share/man/man1",
		Args: usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			if out != "" {
				if len(args) > 0 {
					return usagef("man: --out writes all pages; leave out %q", args[0])
				}
				return writePages(root, out)
			}
			page, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return usagef("man: there is no verb %q", strings.Join(args, " "))
			}
			return doc.GenMan(page, manHeader(page), e.stdout)
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "write the pages of all verbs into this directory")
	return cmd
}

// manHeader is the header of a page. The date is the date of the sources, if known: the same
// version makes the same page.
func manHeader(cmd *cobra.Command) *doc.GenManHeader {
	h := &doc.GenManHeader{Title: strings.ToUpper(pageName(cmd)), Section: "1", Source: "mpmetrics", Manual: "mpmetrics"}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if t, err := time.Parse(time.RFC3339, s.Value); s.Key == "vcs.time" && err == nil {
				h.Date = &t
			}
		}
	}
	return h
}

func pageName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

func writePages(root *cobra.Command, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, cmd := range append([]*cobra.Command{root}, root.Commands()...) {
		if !cmd.IsAvailableCommand() && cmd.HasParent() {
			continue
		}
		f, err := os.Create(filepath.Join(dir, pageName(cmd)+".1"))
		if err != nil {
			return err
		}
		err = doc.GenMan(cmd, manHeader(cmd), f)
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			return fmt.Errorf("page of %s: %w", cmd.Name(), err)
		}
	}
	return nil
}
