package trial

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// mountTmpfs mounts a file system in memory of so many bytes, for the test.
func mountTmpfs(t testing.TB, size string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tmpfs")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	mountTmpfsAt(t, dir, size)
	return dir
}

func mountTmpfsAt(t testing.TB, dir, size string) {
	t.Helper()
	err := unix.Mount("mpmetrics-trial", dir, "tmpfs", 0, "size="+size)
	if errors.Is(err, unix.EPERM) {
		t.Skipf("skipped: this user may not mount a tmpfs: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unmount(t, dir) })
}

// mountDisk mounts an ext4 of so many bytes, in a file, for the test.
func mountDisk(t testing.TB, size int64) string {
	t.Helper()
	return mountImage(t, size, "mkfs.ext4", "-q", "-F")
}

// mountImage mounts a file system that a command makes, of so many bytes, in a file, for the test.
func mountImage(t testing.TB, size int64, mkfs ...string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skipf("skipped: only root mounts a disk, and this is user %d", os.Geteuid())
	}
	parent := t.TempDir()
	image, dir := filepath.Join(parent, "image"), filepath.Join(parent, "disk")
	for _, err := range []error{os.WriteFile(image, nil, 0o600), os.Truncate(image, size), os.Mkdir(dir, 0o700)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, command := range [][]string{append(mkfs, image), {"mount", "-o", "loop", image, dir}} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Skipf("skipped: no disk can be mounted: %v: %v %s", command, err, out)
		}
	}
	t.Cleanup(func() { unmount(t, dir) })
	return dir
}

// unmount also works while something of it is still open.
func unmount(t testing.TB, dir string) {
	t.Helper()
	err := unix.Unmount(dir, 0)
	if errors.Is(err, unix.EBUSY) {
		err = unix.Unmount(dir, unix.MNT_DETACH)
	}
	if err != nil {
		t.Errorf("unmount %s: %v", dir, err)
	}
}
