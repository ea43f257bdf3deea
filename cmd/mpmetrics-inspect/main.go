// Command mpmetrics-inspect shows the content of a shared directory of mpmetrics: the counting
// processes, the counts, the share of each process, and problems with their remedies.
//
// The command reads like a scrape, without disturbing any process, and writes only if the verb
// says so. Run the command without arguments in the environment of the service, or with --dir. The
// URL of a server can replace a directory.
//
//	ls          List the processes that count in the directory, and the archive of the dead
//	show        Show one process: header, families with kind and mode, the largest series
//	get         Show merged values, their rules, and the share of each process
//	dump        Write all merged values, as in a scrape
//	top         Watch processes and series on the full screen, by rate
//	watch       Print a line with rates for each interval
//	diff        Compare two moments: files, directories, saved dumps, or now and later
//	serve       Serve the metrics of the directory, and a status page: the sidecar
//	check       Check every file, the archive, and definitions for conflicts
//	doctor      Check the environment, and show problems with their remedies
//	analyze     Count series, values and bytes of families and labels
//	gc          Absorb dead processes into the archive now
//	repair      Save the readable part of damaged files into new files
//	version     Print the version of the command, and of the file format that it reads
//	completion  Generate the autocompletion script for the specified shell
//	help        Say what a verb does
//	man         Print a manual page, or write all of them into a directory
//
// mpmetrics-inspect help VERB has the details; docs/inspect-json.md describes the output of -o
// json.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(command()) }

func command() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
}
