package loadtest

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
)

// program is the package of the example.
const program = "github.com/mpmetrics/mpmetrics/examples/prefork"

// Build compiles the example into dir, with the race detector if the caller has the race detector,
// and returns the file.
func Build(ctx context.Context, dir string) (string, error) {
	binary := filepath.Join(dir, "prefork")
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	args := []string{"build", "-o", binary}
	if raceEnabled {
		args = append(args, "-race")
	}
	if out, err := exec.CommandContext(ctx, "go", append(args, program)...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", program, err, out)
	}
	return binary, nil
}
