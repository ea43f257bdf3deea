//go:build linux || darwin

package main

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// BenchmarkDisk is no matter of time: it reports what the file of a process with so many counters takes.
func BenchmarkDisk(b *testing.B) {
	for _, series := range []int{10, 1000, 10_000} {
		b.Run(fmt.Sprintf("series=%d", series), func(b *testing.B) {
			alone(b, func(b *testing.B) {
				dir := directory(b)
				v := open(b, dir).NewCounterVec(prometheus.CounterOpts{Name: "requests_total", Help: "Requests."}, []string{"path"})
				for b.Loop() {
					for _, value := range labelValues(series) {
						v.WithLabelValues(value).Inc()
					}
				}
				b.ReportMetric(float64(settled(b, dir)), "disk-B")
				b.ReportMetric(0, "ns/op")
			})
		})
	}
}

// settled waits until the background work has made what room it wants.
func settled(b *testing.B, dir string) int64 {
	b.Helper()
	for size := allocated(b, dir); ; {
		time.Sleep(20 * time.Millisecond)
		now := allocated(b, dir)
		if now == size {
			return size
		}
		size = now
	}
}

// allocated is the space that the file system has given to everything below dir. Directories are left out: they are
// shared by all processes.
func allocated(b *testing.B, dir string) int64 {
	b.Helper()
	const block = 512 // the unit of st_blocks, on every file system
	var sum int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		sum += info.Sys().(*syscall.Stat_t).Blocks * block
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return sum
}
