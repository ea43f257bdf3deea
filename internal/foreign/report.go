package foreign

import (
	"context"
	"fmt"
	"log/slog"
)

// Reasons for which a metric is not mirrored: label values of mpmetrics_unmirrored_total.
const (
	reasonSlow      = "slow"      // a collector has not returned yet
	reasonPanic     = "panic"     // a look ended in a panic
	reasonError     = "error"     // a metric cannot be read, or is one of two with the same name
	reasonValue     = "value"     // no counting can have the value
	reasonFloat     = "float"     // the counts of a histogram are not whole
	reasonInvalid   = "invalid"   // a reader would refuse the series
	reasonName      = "name"      // the name belongs to mpmetrics
	reasonMode      = "mode"      // no mode applies to the type
	reasonLimit     = "limit"     // no room
	reasonExemplars = "exemplars" // a reader would refuse an exemplar
	reasonTimestamp = "timestamp" // a sum of several processes has no time

	// reasonQuantiles is expected in every process, because the Go collector has a summary. So the
	// log level is debug.
	reasonQuantiles = "quantiles"
)

// fault is a part of a family that is not mirrored.
type fault struct {
	reason, family string
	err            error
	n              int // metrics
}

// leftOut counts unmirrored samples, and logs a line once for each family. A family is counted
// once, too.
func (m *Mirror) leftOut(reason, family string, err error, n int) {
	key := reason + "\xff" + family
	if m.told[key] && family != "" {
		return
	}
	m.logOnce(key, reason, family, err)
	m.Host.Unmirrored(reason, n)
}

// lookFailed counts each look at a collector that failed, and logs a line once for each
// collector, with the names of its families.
func (m *Mirror) lookFailed(reason string, g *guard, err error) {
	m.logOnce(reason+"\xff"+g.id, reason, "", fmt.Errorf("%s: %w", g.names, err))
	m.Host.Unmirrored(reason, 1)
}

func (m *Mirror) logOnce(key, reason, family string, err error) {
	if m.told[key] {
		return
	}
	m.told[key] = true
	level := slog.LevelWarn
	if reason == reasonQuantiles {
		level = slog.LevelDebug
	}
	go m.Logger.Log(context.Background(), level, "mpmetrics: metrics are not mirrored", "reason", reason, "family", family, "err", err)
}
