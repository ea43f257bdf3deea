package main

import (
	"bytes"
	"fmt"
	"io"
	"unicode"
	"unicode/utf8"
)

// safeWriter writes text with bytes from files, an exposition or JSON, to a terminal. Control
// characters are escaped as in Go.
type safeWriter struct{ out io.Writer }

// safe protects a terminal. Output to a file or a pipe stays unchanged.
func safe(out io.Writer) io.Writer {
	if _, ok := terminal(out); !ok {
		return out
	}
	return &safeWriter{out}
}

// raw is the stream under a safeWriter, for the writer of own control characters.
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
