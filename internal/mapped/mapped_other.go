//go:build !(linux || darwin || freebsd)

package mapped

import (
	"errors"
	"os"
)

// Write is not supported here.
func Write(_ int, name string, _ int64, _ int) (*Region, error) { return nil, unsupported(name) }

// Read is not supported here.
func Read(_ int, name string, _ int64, _ int) (*Region, error) { return nil, unsupported(name) }

func unsupported(name string) error {
	return &os.PathError{Op: "map", Path: name, Err: errors.ErrUnsupported}
}

// UnmapAt is not supported here.
func UnmapAt(uintptr) error { return errors.ErrUnsupported }

// Unmap has nothing to give back.
func (r *Region) Unmap() {}

// DetachFrom has nothing to detach.
func (r *Region) DetachFrom(int64) error { return nil }

// Detach has nothing to detach.
func (r *Region) Detach() error { return nil }
