package loadtest

import (
	"context"
	"io"
	"os"
	"os/exec"
	"sync"
)

// command is a process of the example that counts into dir.
func command(ctx context.Context, binary, dir string, stderr io.Writer, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = append(os.Environ(), "MPMETRICS_DIR="+dir, "MPMETRICS_URL=", "MPMETRICS_PROCESS=")
	cmd.Stderr = stderr
	return cmd
}

// sharedWriter lets several processes complain into one writer: os/exec copies for each in a goroutine of its own.
type sharedWriter struct {
	mu sync.Mutex // held while writing to
	to io.Writer
}

func (w *sharedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(p)
}
