//go:build unix

package directory

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

func TestEnsure(t *testing.T) {
	for _, umask := range []int{0, 0o022, 0o077, 0o777} {
		func() {
			defer syscall.Umask(syscall.Umask(umask))
			parent := filepath.Join(t.TempDir(), "a")
			if umask == 0o777 { // a parent that nobody could use
				if err := os.Mkdir(parent, 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.Chmod(parent, 0o700); err != nil {
					t.Fatal(err)
				}
			} else {
				parent = filepath.Join(parent, "b", "c")
			}
			for range 2 { // made, then found
				sub, err := Ensure(parent, Access{})
				if err != nil {
					t.Fatalf("umask %#o: %v", umask, err)
				}
				st, err := os.Stat(sub)
				if err != nil {
					t.Fatal(err)
				}
				if got, want := st.Mode(), fs.ModeDir|0o700; got != want {
					t.Errorf("umask %#o: mode %v, want %v", umask, got, want)
				}
				if found, err := Find(parent, Access{}); err != nil || found != sub {
					t.Errorf("umask %#o: found %q, %v, want %q", umask, found, err, sub)
				}
			}
		}()
	}
}

// A parent may be anybody's and open to all, as an emptyDir is.
func TestEnsureInOpenParent(t *testing.T) {
	parent := t.TempDir()
	if err := os.Chmod(parent, 0o1777); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(parent, link); err != nil {
		t.Fatal(err)
	}
	if _, err := Ensure(link, Access{}); err != nil {
		t.Errorf("link to a sticky parent: %v", err)
	}
}

func TestRefused(t *testing.T) {
	tests := []struct {
		name   string
		make   func(sub string) error
		saying string
	}{
		{
			name:   "open to the group",
			make:   func(sub string) error { return errors.Join(os.Mkdir(sub, 0o700), os.Chmod(sub, 0o750)) },
			saying: "chmod 0700",
		},
		{name: "open to all", make: func(sub string) error { return errors.Join(os.Mkdir(sub, 0o700), os.Chmod(sub, 0o777)) }, saying: "chmod 0700"},
		{name: "symbolic link", make: func(sub string) error { return os.Symlink(os.TempDir(), sub) }, saying: "symbolic link"},
		{name: "file", make: func(sub string) error { return os.WriteFile(sub, nil, 0o600) }, saying: "no directory"},
		{name: "of another user, where everybody may make one", make: func(sub string) error {
			return errors.Join(os.Mkdir(sub, 0o700), os.Chown(sub, 12345, -1), os.Chmod(filepath.Dir(sub), 0o777|fs.ModeSticky))
		}, saying: "uid 12345"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			parent := t.TempDir()
			if err := test.make(filepath.Join(parent, "mpmetrics")); errors.Is(err, fs.ErrPermission) {
				t.Skipf("only root can make this: %v", err)
			} else if err != nil {
				t.Fatal(err)
			}
			for name, use := range map[string]func(string, Access) (string, error){"Ensure": Ensure, "Find": Find} {
				_, err := use(parent, Access{})
				if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), test.saying) || !strings.Contains(err.Error(), parent) {
					t.Errorf("%s: %v, want one that is %v, names the path and says %q", name, err, ErrRefused, test.saying)
				}
			}
		})
	}
}

func TestFindMissing(t *testing.T) {
	if _, err := Find(filepath.Join(t.TempDir(), "missing"), Access{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want %v", err, fs.ErrNotExist)
	}
}

func TestEnsureInFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Ensure(file, Access{}); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("got %v, want an error that names %s", err, file)
	}
}

func TestList(t *testing.T) {
	sub := t.TempDir()
	for _, name := range []string{"b", "a"} {
		if err := os.WriteFile(filepath.Join(sub, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	names, err := List(sub)
	slices.Sort(names)
	if err != nil || !slices.Equal(names, []string{"a", "b"}) {
		t.Errorf("got %v, %v", names, err)
	}
	if names, err := List(filepath.Join(sub, "missing")); err != nil || len(names) != 0 {
		t.Errorf("missing directory: %v, %v, want nothing", names, err)
	}
}

// More names than anybody has must not cost a reader any amount of memory.
func TestListOfTooMany(t *testing.T) {
	defer func(n int) { maxNames = n }(maxNames)
	maxNames = 10
	sub := t.TempDir()
	for n := range maxNames + 1 {
		if names, err := List(sub); err != nil || len(names) != n {
			t.Fatalf("%d names: %v, %v", n, names, err)
		}
		if err := os.WriteFile(filepath.Join(sub, strconv.Itoa(n)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := List(sub); !errors.Is(err, layout.ErrLimit) || !strings.Contains(err.Error(), sub) {
		t.Errorf("too many: %v, want %v and the directory", err, layout.ErrLimit)
	}
}

func TestOpenFileRefuses(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	// Without O_NONBLOCK this would wait for a writer, for ever.
	if _, _, err := OpenFile(fifo); !errors.Is(err, ErrRefused) {
		t.Errorf("FIFO: %v, want %v", err, ErrRefused)
	}
	if _, _, err := OpenFile("/dev/null"); !errors.Is(err, ErrRefused) {
		t.Errorf("device: %v, want %v", err, ErrRefused)
	}
}

func TestReadAtEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, st, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if st.Size != 3 || st.Links != 1 || f.Name() != path {
		t.Errorf("stat %+v of %s", st, f.Name())
	}
	b := make([]byte, 5)
	if n, err := f.ReadAt(b, 1); n != 2 || err == nil || string(b[:n]) != "bc" {
		t.Errorf("read %d, %v, %q", n, err, b[:n])
	}
}

func TestOnDisk(t *testing.T) {
	if OnDisk(filepath.Join(t.TempDir(), "missing")) {
		t.Error("a missing directory is known to be on a disk")
	}
	if runtime.GOOS != "linux" {
		return
	}
	if !OnDisk("/proc") { // neither tmpfs nor ramfs, and always there
		t.Error("/proc is in memory")
	}
	shm, err := os.MkdirTemp("/dev/shm", "mpmetrics-test-")
	if err != nil {
		t.Skipf("no tmpfs at /dev/shm: %v", err)
	}
	defer os.RemoveAll(shm)
	if OnDisk(shm) {
		t.Errorf("%s is on a disk", shm)
	}
}

// Names come with what they lead to, or with nothing.
func TestListEntries(t *testing.T) {
	dir := t.TempDir()
	const many = 1000 // more than one system call tells
	for i := range many {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%0200d", i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := ListEntries(dir)
	if err != nil || len(entries) != many {
		t.Fatalf("%d entries, %v, want %d", len(entries), err, many)
	}
	names := map[string]bool{}
	for _, e := range entries {
		names[e.Name] = true
		st, err := LookAt(filepath.Join(dir, e.Name))
		if err != nil {
			t.Fatal(err)
		}
		if e.Inode != 0 && e.Inode != st.Inode {
			t.Errorf("%s: inode %d, want %d", e.Name, e.Inode, st.Inode)
		}
	}
	if len(names) != many {
		t.Errorf("%d names, want %d", len(names), many)
	}
}
