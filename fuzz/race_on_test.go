//go:build race

package fuzz

// slowdown is what the race detector costs, on a machine that is busy.
const slowdown = 10
