package store

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
)

// memoryLocation keeps everything in the process.
const memoryLocation = "memory:"

// backends are the constructors of those that have a URL, by its scheme; "" is a plain
// path. They neither wait nor make anything: open does.
var backends = map[string]func(s *Store, location string) (backend, error){
	"":     newFileBackend,
	"file": newFileBackend,
}

// newBackend makes the backend that a location names. Nothing else chooses one.
func newBackend(s *Store, location string) (backend, error) {
	if location == memoryLocation {
		return memory{}, nil
	}
	construct := backends[schemeOf(location)]
	if construct == nil {
		return nil, noBackend(location)
	}
	return construct(s, location)
}

// schemeOf is the scheme of a URL, "" for a path.
func schemeOf(location string) string {
	scheme, _, found := strings.Cut(location, "://")
	if !found {
		return ""
	}
	return scheme
}

func noBackend(location string) error {
	return fmt.Errorf("location %q: no backend for %q; use a directory, file:///path or %q", redacted(location), schemeOf(location), memoryLocation)
}

// Directory returns the directory that a location names, or "" for memory. It
// fails for a URL whose scheme has no backend.
func Directory(location string) (string, error) {
	if location == memoryLocation {
		return "", nil
	}
	path := location
	if scheme := schemeOf(location); scheme != "" {
		u, err := url.Parse(location)
		if err != nil || scheme != "file" || u.Host != "" {
			return "", noBackend(location)
		}
		path = u.Path
	}
	// A process may change its working directory: a service that becomes a
	// daemon does.
	dir, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("location %q: %w", location, err)
	}
	return dir, nil
}

// redacted is a location without its password.
func redacted(location string) string {
	u, err := url.Parse(location)
	if err != nil {
		return "(not a URL)"
	}
	return u.Redacted()
}
