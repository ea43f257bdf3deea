// Package boot names the boot of the machine. After another boot, the last seconds of writes to a
// disk may be missing.
package boot

import "sync"

// ID names the boot. All containers of a machine have the same boot. Empty: unknown.
func ID() string { return once() }

var once = sync.OnceValue(id)

// Differ reports whether two ids are known and name different boots.
func Differ(a, b string) bool { return a != "" && b != "" && a != b }
