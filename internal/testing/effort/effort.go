// Package effort tells a test that tries very many inputs how many to try.
//
// The race detector makes such a test five to ten times as slow, and finds nothing new in the
// ten-thousandth input. So the test tries few inputs with the race detector, and scripts/test.sh
// runs each test that calls Few or Rounds once more without the race detector.
package effort

import (
	"os"
	"testing"
)

// Soak reports whether the test tries the full numbers of a release: MPMETRICS_SOAK is set.
func Soak() bool { return os.Getenv("MPMETRICS_SOAK") != "" }

// Few reports whether the test tries few inputs: in the short form, and with the race detector.
func Few() bool { return !Soak() && (raced || testing.Short()) }

// Rounds returns how many inputs the test tries: few of them, the usual number, or the number of a
// release.
func Rounds(few, usual, soak int) int {
	switch {
	case Soak():
		return soak
	case Few():
		return few
	}
	return usual
}
