package trial

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/internal/archive"
	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/testing/promtest"
	"github.com/mpmetrics/mpmetrics/internal/testing/reexec"
)

func init() { programs["lookTwice"] = lookTwice }

// lookTwice scrapes a directory, absorbs, and scrapes again. It prints the samples of both scrapes.
func lookTwice(args []string) error {
	c := collector.New(collector.Opts{Location: args[0], NoAbsorption: true, Logger: silent})
	defer c.Close()
	r := prometheus.NewRegistry()
	r.MustRegister(c)
	show := func() error {
		families, err := r.Gather()
		if err != nil {
			return err
		}
		s := promtest.Flatten(families)
		fmt.Println("up", s["mpmetrics_up"], "total", s[`contained_total{container="in"}`]+s[`contained_total{container="out"}`],
			"dead", s[`mpmetrics_processes{state="dead"}`])
		return nil
	}
	if err := show(); err != nil {
		return err
	}
	if _, err := compact.Run(context.Background(), args[0], compact.Opts{Limits: compact.Limits{CoreShare: 1}, Logger: silent}); err != nil {
		return err
	}
	return show()
}

// withOwnBootID prepares a command as LXC and systemd-nspawn do: a file with a random name is mounted
// over the name of the boot.
func withOwnBootID(t testing.TB, program string, args ...string) *exec.Cmd {
	t.Helper()
	file := filepath.Join(t.TempDir(), "boot_id")
	if err := os.WriteFile(file, []byte("11111111-2222-4333-8444-555555555555\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	const mount = `mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"`
	return reexec.As(program, exec.Command("unshare", append([]string{"--mount", "sh", "-c", mount, file, os.Args[0]}, args...)...))
}

// withOwnUptime prepares a command in a time namespace in which the machine is up a day longer.
func withOwnUptime(t testing.TB, program string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := withOwnBootID(t, program, args...)
	cmd.Args = append([]string{"unshare", "--time", "--boottime", "86400", "--fork", "--kill-child"}, cmd.Args...)
	return cmd
}

func outside(_ testing.TB, program string, args ...string) *exec.Cmd {
	return reexec.Command(program, args...)
}

// A container has a boot id of its own, and shares the directory with processes outside of it. Killed
// processes of both sides are in the total at once, are absorbed by a sidecar on either side, and none
// is put aside.
func TestContainerWithItsOwnBootID(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skipf("skipped: only root mounts a file over the boot id, and this is user %d", os.Geteuid())
	}
	if out, err := withOwnBootID(t, "contained", t.TempDir(), "in", "end").CombinedOutput(); err != nil {
		t.Skipf("skipped: no file can be mounted over the boot id: %v: %s", err, out)
	}
	onDisk := func(t testing.TB) string {
		dir := t.TempDir()
		if !directory.OnDisk(dir) {
			t.Skip("skipped: the directory for temporary files is in memory")
		}
		return dir
	}
	type container func(t testing.TB, program string, args ...string) *exec.Cmd
	for _, c := range []struct {
		name            string
		dir             func(testing.TB) string
		archiveOnDisk   bool
		counts, sidecar container
	}{
		{name: "service inside, files in memory", dir: memoryDir, counts: withOwnBootID, sidecar: outside},
		{name: "service inside, files on a disk", dir: onDisk, counts: withOwnBootID, sidecar: outside},
		{name: "service inside, archive on a disk", dir: memoryDir, archiveOnDisk: true, counts: withOwnBootID, sidecar: outside},
		{name: "sidecar inside, files on a disk", dir: onDisk, counts: outside, sidecar: withOwnBootID},
		{name: "both inside, files on a disk", dir: onDisk, counts: withOwnBootID, sidecar: withOwnBootID},
		{name: "service in a time namespace, files on a disk", dir: onDisk, counts: withOwnUptime, sidecar: outside},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := c.dir(t)
			if c.archiveOnDisk {
				t.Setenv(archive.EnvDir, onDisk(t))
			}
			total := 0
			for _, side := range []struct {
				name string
				container
			}{{"out", outside}, {"in", c.counts}, {"in", c.counts}} {
				p := reexec.Run(t, side.container(t, "contained", dir, side.name, "wait"))
				p.Until("counted as")
				total += 10
				lives := reexec.Run(t, side.container(t, "contained", dir, side.name, "wait"))
				lives.Until("counted as")
				total += 10
				p.Kill()
				scrapes := reexec.Run(t, c.sidecar(t, "lookTwice", dir))
				first, second := scrapes.Line(), scrapes.Line()
				if want := fmt.Sprintf("up 1 total %d dead 1", total); first != want {
					t.Errorf("dead: %q, want %q", first, want)
				}
				if want := fmt.Sprintf("up 1 total %d dead 0", total); second != want {
					t.Errorf("absorbed: %q, want %q", second, want)
				}
				if _, err := scrapes.Wait(); err != nil {
					t.Error(err)
				}
			}
			aside, err := directory.List(filepath.Join(dir, layout.Subdirectory, layout.QuarantineName))
			if err != nil || len(aside) > 0 {
				t.Errorf("in quarantine: %v, error %v", aside, err)
			}
		})
	}
}
