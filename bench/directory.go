package main

import "os"

// dirEnv names the parent directory of the benchmarks' directories. main makes the parent, and
// removes the parent even after an early end of the benchmarks.
const dirEnv = "MPMETRICS_BENCH_DIR"

// sharedMemory is the file system in memory for files of live processes, empty if the system has
// none.
func sharedMemory() string {
	const shm = "/dev/shm"
	if info, err := os.Stat(shm); err == nil && info.IsDir() {
		return shm
	}
	return ""
}
