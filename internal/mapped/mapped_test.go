//go:build unix

package mapped

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func file(t *testing.T, bytes int) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if _, err := f.Write(make([]byte, bytes)); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestWriteIsSeenByRead(t *testing.T) {
	f := file(t, 3*4096)
	w, err := Write(int(f.Fd()), f.Name(), 4096+64, 1000)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Unmap()
	r, err := Read(int(f.Fd()), f.Name(), 4096+64, 1000)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Unmap()
	w.Bytes[999] = 7
	if got := r.Bytes[999]; got != 7 {
		t.Errorf("mapped byte %d, want 7", got)
	}
	var b [1]byte
	if _, err := f.ReadAt(b[:], 4096+64+999); err != nil || b[0] != 7 {
		t.Errorf("byte of the file %d, %v, want 7", b[0], err)
	}
}

// What is written through a detached mapping stays in the process.
func TestDetach(t *testing.T) {
	f := file(t, 4096)
	w, err := Write(int(f.Fd()), f.Name(), 64, 100)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Unmap()
	w.Bytes[0] = 1
	if err := w.Detach(); err != nil {
		t.Fatal(err)
	}
	if w.Bytes[0] != 0 {
		t.Errorf("detached byte is %d, want 0", w.Bytes[0])
	}
	w.Bytes[0] = 2
	var b [1]byte
	if _, err := f.ReadAt(b[:], 64); err != nil || b[0] != 1 {
		t.Errorf("byte of the file %d, %v, want 1", b[0], err)
	}
}

func TestGuard(t *testing.T) {
	f := file(t, 2*4096)
	r, err := Read(int(f.Fd()), f.Name(), 0, 2*4096)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Unmap()
	if err := f.Truncate(100); err != nil {
		t.Fatal(err)
	}
	var sum byte
	err = Guard(func() error {
		sum += r.Bytes[4096]
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "truncated") {
		t.Errorf("touching a truncated page: %v, want an error that says truncated", err)
	}
	if err := Guard(func() error { return os.ErrClosed }); !errors.Is(err, os.ErrClosed) {
		t.Errorf("error of f: %v, want %v", err, os.ErrClosed)
	}
	defer func() {
		if r := recover(); r != "other" {
			t.Errorf("recovered %v, want the panic of f", r)
		}
	}()
	_ = Guard(func() error { panic("other") })
}

func TestMapFails(t *testing.T) {
	f := file(t, 4096)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(1<<20, "some/file", 0, 4096); err == nil || !strings.Contains(err.Error(), "some/file") {
		t.Errorf("got %v, want an error that names the file", err)
	}
}
