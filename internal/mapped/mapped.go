// Package mapped maps parts of files into memory.
//
// Linux and macOS (and the BSDs, which nobody has tested) map; elsewhere every
// function returns errors.ErrUnsupported.
package mapped

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
)

// SeesWrites reports whether a mapping shows what is written by system calls.
// OpenBSD keeps the two apart.
const SeesWrites = runtime.GOOS != "openbsd"

// ErrFault is returned by Guard for a memory fault.
var ErrFault = errors.New("mapped memory is gone")

// Region is a mapped part of a file.
type Region struct {
	// Bytes are the bytes that were asked for.
	Bytes []byte

	// whole is what the kernel mapped: whole machine pages around Bytes.
	whole []byte
	from  int64 // where whole begins in the file
}

// pageRange widens offset and length to whole pages of the machine, which may
// be larger than the file's.
func pageRange(offset int64, length int) (from int64, lead int, size int) {
	page := int64(os.Getpagesize())
	from = offset / page * page
	lead = int(offset - from)
	return from, lead, lead + length
}

// Guard runs f and turns a memory fault in it into an error. It is for reading
// a file that somebody may truncate meanwhile: the pages behind its new end are
// gone, and touching them would end the program. f must not start goroutines
// that touch the mapping.
func Guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch r := recover().(type) {
		case nil:
		case interface {
			runtime.Error
			Addr() uintptr // only the errors of memory faults have one
		}:
			err = fmt.Errorf("%w at %#x: file truncated meanwhile", ErrFault, r.Addr())
		default:
			panic(r)
		}
	}()
	return f()
}
