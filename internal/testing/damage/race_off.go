//go:build !race

package damage

// slowdown is what a machine that is busy costs.
const slowdown = 2
