//go:build race

package damage

// slowdown is the factor of the race detector, on a busy machine.
const slowdown = 10
