// Command mpmetrics-inspect shows what is in a shared directory of mpmetrics: who
// counts there, what has been counted, who has a part in it, what is wrong, and
// what to do.
//
// It reads as a scrape does, without disturbing anybody, and writes nothing unless
// the verb says so: gc absorbs, repair repairs. Run it without arguments in the
// environment of the service, or with --dir, and see
// mpmetrics-inspect help.
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
