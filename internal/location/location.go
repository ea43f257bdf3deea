// Package location parses the setting for the place of a service's metrics: the memory of a
// process, a directory, or a server. No other package looks at the text of a location.
package location

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"
)

// Memory is the location for metrics in the memory of the process.
const Memory = "memory:"

const fileScheme = "file"

// Kind is the kind of place that a location names.
type Kind uint8

// The kinds.
const (
	InMemory  Kind = iota + 1 // Memory
	Directory                 // a path, or file:///path
	Server                    // any other URL
)

// KindOf returns the kind of a location. The rest of the location may be invalid.
func KindOf(text string) Kind {
	switch scheme := schemeOf(text); {
	case text == Memory:
		return InMemory
	case scheme == "", scheme == fileScheme:
		return Directory
	}
	return Server
}

// schemeOf returns the scheme of a URL, "" for a path.
func schemeOf(text string) string {
	scheme, _, found := strings.Cut(text, "://")
	if !found {
		return ""
	}
	return scheme
}

// Location is a parsed location. The zero value names no place.
type Location struct {
	kind Kind
	dir  string   // of a Directory, absolute
	url  *url.URL // of a Server
}

// Parse parses a location. A relative path belongs to the current directory, and becomes absolute.
// Errors contain no password.
func Parse(text string) (Location, error) {
	switch KindOf(text) {
	case InMemory:
		return Location{kind: InMemory}, nil
	case Server:
		u, err := url.Parse(text)
		if err != nil {
			// The text of err contains the whole location, with the password.
			return Location{}, errors.New("location: not a URL, want for instance redis://host:6379/0?namespace=shop")
		}
		return Location{kind: Server, url: u}, nil
	}
	path := text
	if schemeOf(text) != "" {
		u, err := url.Parse(text)
		if err != nil || u.Host != "" {
			return Location{}, noDirectory(text)
		}
		path = u.Path
	}
	// The path becomes absolute now, because a process may change its working directory: a service
	// that becomes a daemon does.
	dir, err := filepath.Abs(path)
	if err != nil {
		return Location{}, fmt.Errorf("location %q: %w", text, err)
	}
	return Location{kind: Directory, dir: dir}, nil
}

func noDirectory(text string) error {
	return fmt.Errorf("location %q: no directory for %q; use a path, file:///path or %q", Redacted(text), schemeOf(text), Memory)
}

// Kind returns the kind of the location.
func (l Location) Kind() Kind { return l.kind }

// Dir returns the absolute path of a Directory, "" for the other kinds.
func (l Location) Dir() string { return l.dir }

// URL returns the URL of a Server, nil for the other kinds.
func (l Location) URL() *url.URL { return l.url }

// Text returns the whole location for Parse, with the password.
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

// Attr returns the location as an attribute for a log line.
func (l Location) Attr() slog.Attr {
	if l.kind == Directory {
		return slog.String("dir", l.dir)
	}
	return slog.String("location", l.String())
}

// Redacted returns the text of a location without its password. The location may be invalid.
func Redacted(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "(not a URL)"
	}
	return u.Redacted()
}
