// Package pace computes the pauses of absorptions, so that absorbing takes at most a share of one
// core. Package compact pauses between batches, and package collector pauses between absorptions.
package pace

import "time"

const (
	// Share is the default share of a core for absorbing.
	Share = 0.05

	// crowd is the number of dead files beyond which absorbing takes hurriedShare, because so many
	// files cost every scrape more than their absorption.
	crowd        = 512
	hurriedShare = 0.5
)

// Pause returns the pause after work of the length took, while waiting dead files wait. share is
// the configured share of a core; 0: the default.
func Pause(share float64, took time.Duration, waiting int) time.Duration {
	switch {
	case share > 0:
	case waiting > crowd:
		share = hurriedShare
	default:
		share = Share
	}
	return time.Duration(float64(took) * (1/share - 1))
}
