//go:build !linux

package fork

import "os"

// Happened reports whether this process was forked from the one that started. It
// is a system call here.
func Happened() bool { return os.Getpid() != started }
