// Package location parses the setting that says where a service keeps its metrics: in
// the memory of a process, in a directory, or on a server. Nothing else looks at the
// text of a location.
package location

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"
)

// Memory is the location that keeps everything in the process.
const Memory = "memory:"

const fileScheme = "file"

// Kind is what a location names.
type Kind uint8

// The kinds.
const (
	InMemory  Kind = iota + 1 // Memory
	Directory                 // a path, or file:///path
	Server                    // any other URL
)

// KindOf returns the kind of a location, which may be wrong in every other respect.
func KindOf(text string) Kind {
	switch scheme := Scheme(text); {
	case text == Memory:
		return InMemory
	case scheme == "", scheme == fileScheme:
		return Directory
	}
	return Server
}

// Scheme is the scheme of a URL, "" for a path.
func Scheme(text string) string {
	scheme, _, found := strings.Cut(text, "://")
	if !found {
		return ""
	}
	return scheme
}

// Location is a location. The zero value is none.
type Location struct {
	kind Kind
	dir  string   // of a Directory, absolute
	url  *url.URL // of a Server
}

// Parse parses a location. A relative path is one of the current directory, and becomes
// absolute. Errors name no password.
func Parse(text string) (Location, error) {
	switch KindOf(text) {
	case InMemory:
		return Location{kind: InMemory}, nil
	case Server:
		u, err := url.Parse(text)
		if err != nil {
			// The text of err has the whole location, and so a password.
			return Location{}, errors.New("location: not a URL, want for instance redis://host:6379/0?namespace=shop")
		}
		return Location{kind: Server, url: u}, nil
	}
	path := text
	if Scheme(text) != "" {
		u, err := url.Parse(text)
		if err != nil || u.Host != "" {
			return Location{}, noDirectory(text)
		}
		path = u.Path
	}
	// A process may change its working directory: a service that becomes a
	// daemon does.
	dir, err := filepath.Abs(path)
	if err != nil {
		return Location{}, fmt.Errorf("location %q: %w", text, err)
	}
	return Location{kind: Directory, dir: dir}, nil
}

func noDirectory(text string) error {
	return fmt.Errorf("location %q: no directory for %q; use a path, file:///path or %q", Redacted(text), Scheme(text), Memory)
}

// ParseDirectory returns the directory that a location names, or "" for memory. It fails
// for a server.
func ParseDirectory(text string) (string, error) {
	if KindOf(text) == Server {
		return "", noDirectory(text)
	}
	l, err := Parse(text)
	return l.dir, err
}

// Kind returns what the location names.
func (l Location) Kind() Kind { return l.kind }

// Dir returns the absolute path of a Directory, "" for the other kinds.
func (l Location) Dir() string { return l.dir }

// URL returns the URL of a Server, nil for the other kinds.
func (l Location) URL() *url.URL { return l.url }

// Text returns the location in full, with a password: what Parse takes.
func (l Location) Text() string {
	if l.kind == Server {
		return l.url.String()
	}
	return l.String()
}

// String returns the location without a password.
func (l Location) String() string {
	switch l.kind {
	case InMemory:
		return Memory
	case Directory:
		return l.dir
	case Server:
		return l.url.Redacted()
	}
	return ""
}

// Attr is the location in a line of the log.
func (l Location) Attr() slog.Attr {
	if l.kind == Directory {
		return slog.String("dir", l.dir)
	}
	return slog.String("location", l.String())
}

// Redacted is the text of a location without a password, for a location that may be
// wrong.
func Redacted(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "(not a URL)"
	}
	return u.Redacted()
}
