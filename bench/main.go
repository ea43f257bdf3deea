package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// rawFile gets the lines of all rounds, for benchstat.
const rawFile = "../.cache/bench.txt"

const resultsFile = "RESULTS.md"

func main() {
	short := flag.Bool("short", false, "fewer rounds, and RESULTS.md stays as it is")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *short); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, short bool) error {
	load := newLoads()
	b, err := build(ctx, rawFile)
	if err != nil {
		return err
	}
	defer b.close()
	rounds, command, results := 15, "make bench", b.results
	if short {
		rounds, command, b.benchtime = 7, "make bench SHORT=1", benchtime/2
	}
	if err := b.measure(ctx, rounds, short, load); err != nil {
		return err
	}
	versions, missing, err := measurePeers(ctx, short, b)
	if err != nil {
		return err
	}
	text := report(results, conditions{
		Date: time.Now(), Command: command, Rounds: rounds, Machine: machine(results.cpu), Load: load.report(),
	}) + reportPeers(results, append(goVersions(ctx), versions...), missing)
	fmt.Print("\n", text)
	if short {
		return nil
	}
	if err := writePlots(results); err != nil {
		return err
	}
	return os.WriteFile(resultsFile, []byte(text), 0o644)
}
