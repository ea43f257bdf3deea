package directory

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// mountFUSE mounts a file system of the test's own that has nothing but its root.
func mountFUSE(t *testing.T, on string) {
	t.Helper()
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("no FUSE here: %v", err)
	}
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", fd)
	if err := unix.Mount("mpmetrics-test", on, "fuse", 0, options); err != nil {
		unix.Close(fd)
		t.Skipf("FUSE cannot be mounted: %v", err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		serveFUSE(fd)
	}()
	t.Cleanup(func() {
		if err := unix.Unmount(on, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
		<-served
		unix.Close(fd)
	})
}

// Operations of FUSE, as the kernel numbers them.
const (
	fuseForget     = 2
	fuseGetattr    = 3
	fuseStatfs     = 17
	fuseInit       = 26
	fuseOpendir    = 27
	fuseReleasedir = 29
)

// serveFUSE answers until the file system is unmounted.
func serveFUSE(fd int) {
	request := make([]byte, 1<<17)
	for {
		n, err := unix.Read(fd, request)
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.ENOENT) {
			continue
		}
		if err != nil || n < 40 {
			return
		}
		answer := make([]byte, 16)
		switch binary.NativeEndian.Uint32(request[4:]) {
		case fuseForget:
			continue
		case fuseInit:
			answer = append(answer, make([]byte, 64)...)
			binary.NativeEndian.PutUint32(answer[16:], 7)
			binary.NativeEndian.PutUint32(answer[20:], 31)
			binary.NativeEndian.PutUint32(answer[16+20:], 4096) // max_write
		case fuseGetattr:
			answer = append(answer, make([]byte, 104)...)
			binary.NativeEndian.PutUint64(answer[16+16:], 1)                     // ino
			binary.NativeEndian.PutUint32(answer[16+16+60:], unix.S_IFDIR|0o700) // mode
			binary.NativeEndian.PutUint32(answer[16+16+64:], 2)                  // nlink
		case fuseStatfs:
			answer = append(answer, make([]byte, 80)...)
		case fuseOpendir:
			answer = append(answer, make([]byte, 16)...)
		case fuseReleasedir:
		default:
			enosys := -int32(unix.ENOSYS)
			binary.NativeEndian.PutUint32(answer[4:], uint32(enosys))
		}
		binary.NativeEndian.PutUint32(answer, uint32(len(answer)))
		copy(answer[8:16], request[8:16])
		if _, err := unix.Write(fd, answer); err != nil && !errors.Is(err, unix.ENOENT) {
			return
		}
	}
}

// Locks and mappings on a file system that a program, or another machine, serves
// may be anything.
func TestNetworkFileSystem(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can mount")
	}
	parent := t.TempDir()
	sub := filepath.Join(parent, "mpmetrics")
	if err := os.Mkdir(sub, 0o700); err != nil {
		t.Fatal(err)
	}
	mountFUSE(t, sub)
	for name, use := range map[string]func(string, Access) (string, error){"Ensure": Ensure, "Find": Find} {
		_, err := use(parent, Access{})
		if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "FUSE") || !strings.Contains(err.Error(), EnvAllowNetworkFS) {
			t.Errorf("%s: %v, want %v, the kind, and how to allow it", name, err, ErrRefused)
		}
		if _, err := use(parent, Access{AllowNetworkFS: true}); err != nil {
			t.Errorf("%s, allowed: %v", name, err)
		}
	}
}

func TestAccessFromEnvironment(t *testing.T) {
	for value, want := range map[string]bool{"": false, "0": false, "false": false, "maybe": false, "1": true, "true": true} {
		t.Setenv(EnvGroupShared, value)
		t.Setenv(EnvAllowNetworkFS, value)
		if got := (Access{}).WithEnv(); got != (Access{want, want}) {
			t.Errorf("%q: %+v, want %v", value, got, want)
		}
		if got := (Access{true, true}).WithEnv(); got != (Access{true, true}) {
			t.Errorf("%q takes away what the program says: %+v", value, got)
		}
	}
}
