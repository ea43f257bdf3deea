package inspect

import (
	"fmt"
	"time"
)

// HumanSize formats a number of bytes for people.
func HumanSize(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	v := float64(n)
	for _, suffix := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if v /= unit; v < unit {
			if v < 10 {
				return fmt.Sprintf("%.1f %s", v, suffix)
			}
			return fmt.Sprintf("%.0f %s", v, suffix)
		}
	}
	return fmt.Sprintf("%.0f PiB", v/unit)
}

// HumanDuration has two units at most.
func HumanDuration(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < 0:
		return "-" + HumanDuration(-d)
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", d.Seconds()*1000)
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	case d < day:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd%02dh", d/day, d%day/time.Hour)
}

// Ago says how long ago a time is, "never" for zero.
func Ago(t, now time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return HumanDuration(now.Sub(t)) + " ago"
}
