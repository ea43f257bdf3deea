//go:build !linux

package fork

import "os"

func happened() bool { return os.Getpid() != started }
