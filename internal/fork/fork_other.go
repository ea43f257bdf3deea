//go:build !linux

package fork

import "os"

// Happened reports whether the process is a fork. The answer needs a system call.
func Happened() bool { return os.Getpid() != started }
