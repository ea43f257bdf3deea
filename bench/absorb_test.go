package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/internal/archive"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/store"
)

// batch is how many processes die before they are absorbed together: as many as one archive takes.
const batch = 256

// BenchmarkAbsorb absorbs dead processes, all with the same series, as those of one service have. An operation is one
// process.
func BenchmarkAbsorb(b *testing.B) {
	for _, series := range []int{10, 1000} {
		b.Run(fmt.Sprintf("series=%d", series), func(b *testing.B) {
			alone(b, func(b *testing.B) {
				dir := directory(b)
				for done := 0; done < b.N; done += batch {
					b.StopTimer()
					dead := min(batch, b.N-done)
					leaveDead(b, dir, dead, series)
					b.StartTimer()
					if n := absorb(b, dir); n != dead {
						b.Fatalf("%d processes absorbed, want %d", n, dead)
					}
				}
			})
		})
	}
}

// BenchmarkScrapeAbsorbed scrapes four processes after so many others came and went, each with ten of their series.
// The ids are in the archive, as they are within the first hour.
func BenchmarkScrapeAbsorbed(b *testing.B) {
	for _, absorbed := range []int{0, 10, 100, 1000, 100_000} {
		b.Run(fmt.Sprintf("procs=4/absorbed=%d", absorbed), func(b *testing.B) {
			dir := directory(b)
			spawn(b, dir, "counters", 4)
			if absorbed > 0 {
				leaveDead(b, dir, 1, 10)
				absorb(b, dir)
				comeAndGo(b, dir, absorbed-1)
			}
			pair(b, func(b *testing.B) { scrapePlain(b, "counters") }, func(b *testing.B) { scrapeMerged(b, dir) })
		})
	}
}

// BenchmarkScrapeRestarted scrapes after the archive was removed, while each process lives: the archive has the base
// of each process.
func BenchmarkScrapeRestarted(b *testing.B) {
	for _, processes := range []int{4, 64} {
		b.Run(fmt.Sprintf("shape=counters/procs=%d", processes), func(b *testing.B) {
			dir := directory(b)
			spawn(b, dir, "counters", processes)
			leaveDead(b, dir, 1, 10)
			absorb(b, dir)
			if err := os.Remove(filepath.Join(dir, layout.Subdirectory, layout.ArchiveName)); err != nil {
				b.Fatal(err)
			}
			absorb(b, dir)
			pair(b, func(b *testing.B) { scrapePlain(b, "counters") }, func(b *testing.B) { scrapeMerged(b, dir) })
		})
	}
}

// leaveDead leaves the files of so many dead processes.
func leaveDead(b *testing.B, dir string, processes, series int) {
	b.Helper()
	for range processes {
		s, err := store.Open(store.Opts{Location: dir, NoAbsorption: true})
		if err != nil {
			b.Fatal(err)
		}
		counters(fileMaker{s}, series)
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// absorb absorbs what there is, without pauses.
func absorb(b *testing.B, dir string) (processes int) {
	b.Helper()
	report, err := compact.Run(context.Background(), dir, compact.Opts{Limits: compact.Limits{CoreShare: 1}})
	if err != nil {
		b.Fatal(err)
	}
	return report.Absorbed
}

// comeAndGo puts the ids of so many more processes into the archive, as if their values were in the totals: to let them
// count would take minutes, and a total takes no longer for being larger. Nothing else may absorb meanwhile.
func comeAndGo(b *testing.B, dir string, processes int) {
	b.Helper()
	sub := filepath.Join(dir, layout.Subdirectory)
	a, err := archive.Read(sub)
	if err != nil {
		b.Fatal(err)
	}
	records := make([]layout.Absorbed, processes)
	for i := range records {
		records[i] = layout.Absorbed{ID: layout.NewID(), Start: a.Last, Time: a.Last}
	}
	a.Record(records...)
	a.Absorbed += uint64(processes)
	temporary, err := a.Write(sub, layout.Header{PID: uint32(os.Getpid()), Start: a.Last, BootID: a.BootID})
	if err != nil {
		b.Fatal(err)
	}
	root, err := os.OpenRoot(sub)
	if err != nil {
		b.Fatal(err)
	}
	defer root.Close()
	if err := archive.Publish(root, temporary, false); err != nil {
		b.Fatal(err)
	}
}
