//go:build !linux

package boot

import "time"

func uptime() time.Duration { return 0 }
