//go:build !race

package damage

// slowdown is the factor of a busy machine.
const slowdown = 2
