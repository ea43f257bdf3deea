package loadtest

import (
	"context"
	"io"
	"os"
	"os/exec"
	"sync"
)

// command is the command of an example's process that counts into dir.
func command(ctx context.Context, binary, dir string, stderr io.Writer, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = append(os.Environ(), "MPMETRICS_DIR="+dir, "MPMETRICS_URL=", "MPMETRICS_PROCESS=")
	cmd.Stderr = stderr
	return cmd
}

// sharedWriter lets several processes write to one writer: os/exec copies the output of each
// process in a separate goroutine.
type sharedWriter struct {
	mu sync.Mutex // held while writing to
	to io.Writer
}

func (w *sharedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(p)
}
