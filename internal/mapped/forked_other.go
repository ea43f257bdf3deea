//go:build darwin || freebsd

package mapped

import "errors"

// UnmapAt is not supported here: the system does not say where a mapping ends.
func UnmapAt(uintptr) error { return errors.ErrUnsupported }
