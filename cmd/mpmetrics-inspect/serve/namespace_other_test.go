//go:build unix && !linux

package serve

import (
	"os/exec"
	"testing"
)

func namespace(*testing.T) func(*exec.Cmd) { return nil }
