//go:build race

package damage

// slowdown is what the race detector costs, on a machine that is busy.
const slowdown = 10
