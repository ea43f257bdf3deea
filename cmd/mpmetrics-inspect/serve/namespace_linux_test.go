package serve

import (
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// namespace makes a process the first of a pid namespace of its own, as one in a
// container is.
func namespace(t *testing.T) func(*exec.Cmd) {
	t.Helper()
	contain := func(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID} }
	trial := exec.Command("true")
	contain(trial)
	if err := trial.Run(); err != nil {
		t.Logf("without a pid namespace of its own, which this user may not make: %v", err)
		return nil
	}
	return contain
}
