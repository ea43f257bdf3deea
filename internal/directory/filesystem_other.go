//go:build !linux

package directory

// OnDisk reports whether a directory is known to be on a file system outside memory. On this
// system nothing is known.
func OnDisk(string) bool { return false }

// InMemory reports whether a directory is known to be on a file system in memory. On this system
// nothing is known.
func InMemory(string) bool { return false }
