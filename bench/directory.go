package main

import "os"

// dirEnv names the directory below which the benchmarks make theirs: main makes it, and removes it even if they end
// too early to do so.
const dirEnv = "MPMETRICS_BENCH_DIR"

// sharedMemory is where files of live processes belong, where the system has a place for that; empty elsewhere.
func sharedMemory() string {
	const shm = "/dev/shm"
	if info, err := os.Stat(shm); err == nil && info.IsDir() {
		return shm
	}
	return ""
}
