package main

import (
	"bytes"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/mpmetrics/mpmetrics/examples/prefork/internal/loadtest"
)

// build compiles this program where it runs, and skips the test where it only says that it does not.
func build(t *testing.T) string {
	t.Helper()
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		t.Skipf("%s has no port that several processes share", runtime.GOOS)
	}
	binary, err := loadtest.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// metricsDir is a directory for live files: in memory, where the system has a place for that.
func metricsDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "mpmetrics-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// stderrOf collects what a service complains of, and fails the test for data races in it.
func stderrOf(t *testing.T) *bytes.Buffer {
	t.Helper()
	stderr := new(bytes.Buffer)
	t.Cleanup(func() {
		if bytes.Contains(stderr.Bytes(), []byte("DATA RACE")) || bytes.Contains(stderr.Bytes(), []byte("panic:")) {
			t.Error("the service met a data race or a panic")
		}
		if t.Failed() && stderr.Len() > 0 {
			t.Logf("the service said:\n%s", stderr)
		}
	})
	return stderr
}

// TestKilledWorkersLoseNothing kills half of the workers in the middle of real load: every request that was
// answered is counted, none twice, and no scrape on the way shows less than the one before.
func TestKilledWorkersLoseNothing(t *testing.T) {
	duration := 6 * time.Second
	if testing.Short() {
		duration = 2 * time.Second
	}
	trial := loadtest.Trial{
		Binary: build(t), Dir: metricsDir(t), Stderr: stderrOf(t), Logf: t.Logf,
		Workers: 4, Clients: 16, Kills: 4, Duration: duration,
	}
	result, err := trial.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range trial.Problems(result) {
		t.Error(problem)
	}
	t.Logf("%d answered, %d broken, %.0f counted, %.0f observed; %d scrapes, median %v, max %v",
		result.Answered, result.Broken, result.Counted, result.Observed,
		result.Watch.Scrapes(), result.Watch.Median(), result.Watch.Max())
}

// TestCountsExactlyWithoutKills leaves no tolerance: no request breaks, so all counts are the same.
func TestCountsExactlyWithoutKills(t *testing.T) {
	trial := loadtest.Trial{
		Binary: build(t), Dir: metricsDir(t), Stderr: stderrOf(t), Logf: t.Logf,
		Workers: 2, Clients: 8, Duration: time.Second,
	}
	result, err := trial.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range trial.Problems(result) {
		t.Error(problem)
	}
	var alone float64
	for _, count := range result.Alone {
		alone += count
	}
	answered := float64(result.Answered)
	if result.Counted != answered || result.Observed != answered || alone != answered {
		t.Errorf("answered %d, counted %v, observed %v, by the workers' own registries %v: all should be the same",
			result.Answered, result.Counted, result.Observed, alone)
	}
}

// TestJobsLeaveOnlyTheirCounts lets short-lived processes come and go beside the workers, some of them killed: what
// they counted stays to the last bit, their files do not.
func TestJobsLeaveOnlyTheirCounts(t *testing.T) {
	trial := loadtest.Trial{
		Binary: build(t), Dir: metricsDir(t), Stderr: stderrOf(t), Logf: t.Logf,
		Workers: 2, Clients: 4, Duration: 500 * time.Millisecond, Jobs: 30,
	}
	result, err := trial.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range trial.Problems(result) {
		t.Error(problem)
	}
	churn := result.Churn
	if got, want := churn.Crashed, 3; got != want {
		t.Errorf("%d jobs crashed, want %d", got, want)
	}
	t.Logf("%v; %d files at most, %d in the end; median scrape %v before, %v after",
		churn.Families(), churn.MostFiles, churn.Files, churn.Before, churn.After)
}
