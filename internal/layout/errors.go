package layout

import "errors"

// Errors of decoding. Each is wrapped with what was found and what was expected.
var (
	// ErrForeign is returned for bytes that are not of this format at all.
	ErrForeign = errors.New("not an mpmetrics file")

	// ErrVersion is returned for a format version that this package does not
	// know. The file may be fine: leave it to the program that wrote it.
	ErrVersion = errors.New("unknown format version")

	// ErrByteOrder is returned for a file written on a machine with another
	// byte order. Its cells cannot be read here.
	ErrByteOrder = errors.New("foreign byte order")

	// ErrDamaged is returned for bytes that carry our marks but break a rule
	// of the format.
	ErrDamaged = errors.New("damaged")

	// ErrLimit is returned for what may be sound, but is larger than a reader is
	// willing to keep. It is no proof of damage.
	ErrLimit = errors.New("above a limit")
)
