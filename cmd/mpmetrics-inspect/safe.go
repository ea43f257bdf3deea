package main

import (
	"bytes"
	"fmt"
	"io"
	"unicode"
	"unicode/utf8"
)

// safeWriter writes to a terminal what may hold bytes from files as they are, an
// exposition or JSON: characters that a terminal would obey are written as in Go.
type safeWriter struct{ out io.Writer }

// safe protects a terminal. What goes to a file or into a pipe stays as it is.
func safe(out io.Writer) io.Writer {
	if _, ok := terminal(out); !ok {
		return out
	}
	return &safeWriter{out}
}

// raw is the stream behind, for who writes control characters of his own.
func raw(out io.Writer) io.Writer {
	if s, ok := out.(*safeWriter); ok {
		return s.out
	}
	return out
}

// Write implements io.Writer.
func (s *safeWriter) Write(p []byte) (int, error) {
	var b bytes.Buffer
	for rest := p; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, rest[0])
		case r == '\n' || r == '\t' || !unicode.IsControl(r) && !unicode.Is(unicode.Cf, r):
			b.Write(rest[:n])
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		rest = rest[n:]
	}
	if _, err := s.out.Write(b.Bytes()); err != nil {
		return 0, err
	}
	return len(p), nil
}
