// Package pace says how long an absorption pauses, so that absorbing takes no more than a
// share of one core. Package compact pauses between batches, and package collector between
// absorptions.
package pace

import "time"

const (
	// Share is the share of a core that absorbing takes by default.
	Share = 0.05

	// crowd is how many dead files let absorbing take hurriedShare: the files cost every
	// scrape more than absorbing them does.
	crowd        = 512
	hurriedShare = 0.5
)

// Pause returns the pause after work that took so long, while so many dead files wait.
// share is the configured share of a core; 0: the default.
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
