//go:build !race

package fuzz

// slowdown is what a machine that is busy costs.
const slowdown = 2
