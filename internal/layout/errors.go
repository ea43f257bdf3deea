package layout

import "errors"

// Errors of decoding. Each error is wrapped with the found and the expected value.
var (
	// ErrForeign is returned for bytes of another format.
	ErrForeign = errors.New("not an mpmetrics file")

	// ErrVersion is returned for an unknown format version. The file may be sound: leave the file
	// to the program of its owner.
	ErrVersion = errors.New("unknown format version")

	// ErrByteOrder is returned for a file from a machine with another byte order. The cells cannot
	// be read on this machine.
	ErrByteOrder = errors.New("foreign byte order")

	// ErrDamaged is returned for bytes that carry the marks of mpmetrics but break a rule of the
	// format.
	ErrDamaged = errors.New("damaged")

	// ErrLimit is returned for a file or record above the limits of a reader. The bytes may be
	// sound.
	ErrLimit = errors.New("above a limit")
)
