// Package mapped maps parts of files into memory.
//
// Mapping works on Linux and macOS (and on the BSDs, untested); on other systems every function
// returns errors.ErrUnsupported.
package mapped

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
)

// ErrFault is returned by Guard for a memory fault.
var ErrFault = errors.New("mapped memory is gone")

// Region is a mapped part of a file.
type Region struct {
	// Bytes are the requested bytes.
	Bytes []byte

	// whole is the mapping of the kernel: whole machine pages around Bytes.
	whole []byte
	from  int64 // where whole begins in the file
}

// pageRange widens offset and length to whole pages of the machine, which may be larger than the
// pages of the file.
func pageRange(offset int64, length int) (from int64, lead int, size int) {
	page := int64(os.Getpagesize())
	from = offset / page * page
	lead = int(offset - from)
	return from, lead, lead + length
}

// Guard runs f and turns a memory fault in f into an error. Use Guard to read a file that another
// process may truncate meanwhile: the pages after the new end are missing, and touching a missing
// page would end the program. f must not start goroutines that touch the mapping.
func Guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch r := recover().(type) {
		case nil:
		case interface {
			runtime.Error
			Addr() uintptr // only the errors of memory faults have an address
		}:
			err = fmt.Errorf("%w at %#x: file truncated meanwhile", ErrFault, r.Addr())
		default:
			panic(r)
		}
	}()
	return f()
}
