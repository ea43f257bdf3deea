package directory

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"
)

func TestAdvise(t *testing.T) {
	for _, c := range []struct {
		errno  syscall.Errno
		saying string
	}{
		{errno: syscall.ENOSPC, saying: "make room"},
		{errno: syscall.EDQUOT, saying: "quota"},
		{errno: syscall.EROFS, saying: "read-only"},
		{errno: syscall.EACCES},
	} {
		err := fmt.Errorf("grow: %w", &fs.PathError{Op: "write", Path: "shop", Err: c.errno})
		got := Advise(err)
		if !errors.Is(got, c.errno) || !strings.Contains(got.Error(), "shop") || !strings.Contains(got.Error(), c.saying) {
			t.Errorf("%v, want the error with its path and %q", got, c.saying)
		}
		if c.saying == "" && got.Error() != err.Error() {
			t.Errorf("%v, want %v", got, err)
		}
	}
	if Advise(nil) != nil {
		t.Error("an error of nothing")
	}
}
