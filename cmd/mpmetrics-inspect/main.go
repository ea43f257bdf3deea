// Command mpmetrics-inspect shows what is in a shared directory of mpmetrics: who
// counts there, what has been counted, who has a part in it, what is wrong, and
// what to do.
//
// It reads as a scrape does, without disturbing anybody, and writes nothing unless
// the verb says so. Run it without arguments in the environment of the service, or
// with --dir. The URL of a server will do in the place of a directory.
//
//	ls          List the processes that count in the directory, and the archive of the dead
//	show        Show one process: header, families with kind and mode, the largest series
//	get         Show merged values, the rules that made them, and who contributes what
//	dump        Write everything that is merged, as a scrape shows it
//	top         Watch processes and series on the full screen, by rate
//	watch       Print a line with rates for each interval
//	diff        Compare two moments: files, directories, saved dumps, or now and later
//	serve       Serve the metrics of the directory, and a status page: the sidecar
//	check       Check every file and the archive, and what processes do not agree about
//	doctor      Look at the environment, and say what will hurt and how to mend it
//	analyze     Say which families and labels have how many series, values and bytes
//	gc          Absorb dead processes into the archive now
//	repair      Save what is readable of damaged files into new ones
//	version     Print the version of the command, and of the file format that it reads
//	completion  Generate the autocompletion script for the specified shell
//	help        Say what a verb does
//	man         Print a manual page, or write all of them into a directory
//
// mpmetrics-inspect help VERB says the rest; docs/inspect-json.md describes what
// -o json writes.
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
