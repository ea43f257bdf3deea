// Package boot names the boot of the machine. After another one, what was
// written to a disk in the last seconds before may be missing.
package boot

import "sync"

// ID names this boot, the same in all containers of a machine. Empty: unknown.
func ID() string { return once() }

var once = sync.OnceValue(id)

// Differ reports whether two ids are of different boots, as far as they are
// known.
func Differ(a, b string) bool { return a != "" && b != "" && a != b }
