// Package boot names the boot of the machine. After another boot, the last seconds of writes to a
// disk may be missing.
package boot

import (
	"sync"
	"time"
)

// ID names the boot. All containers of a machine have the same boot. Empty: unknown.
func ID() string { return once() }

var once = sync.OnceValue(id)

// Uptime is the time since the boot, with the time that the machine slept. Nobody can set the
// uptime. 0: this system has no such clock.
func Uptime() time.Duration { return uptime() }

// Differ reports whether two ids are known and name different boots.
func Differ(a, b string) bool { return a != "" && b != "" && a != b }
