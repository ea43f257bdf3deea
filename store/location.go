package store

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/mpmetrics/mpmetrics/internal/remote"
)

// memoryLocation keeps everything in the process.
const memoryLocation = "memory:"

// backends are the constructors of those that need nothing but this package, by the
// scheme of their URL; "" is a plain path. They neither wait nor make anything: open
// does.
var backends = map[string]func(s *Store, location string) (backend, error){
	"":     newFileBackend,
	"file": newFileBackend,
}

// newBackend makes the backend that a location names. Nothing else chooses one.
func newBackend(s *Store, location string) (backend, error) {
	if location == memoryLocation {
		return memory{}, nil
	}
	if construct := backends[schemeOf(location)]; construct != nil {
		return construct(s, location)
	}
	return newRemoteBackend(s, location)
}

// schemeOf is the scheme of a URL, "" for a path.
func schemeOf(location string) string {
	scheme, _, found := strings.Cut(location, "://")
	if !found {
		return ""
	}
	return scheme
}

// Directory returns the directory that a location names, or "" for memory. It
// fails for the URL of a server.
func Directory(location string) (string, error) {
	if location == memoryLocation {
		return "", nil
	}
	path := location
	if scheme := schemeOf(location); scheme != "" {
		u, err := url.Parse(location)
		if err != nil || scheme != "file" || u.Host != "" {
			return "", fmt.Errorf("location %q: no directory for %q; use a path, file:///path or %q", remote.Redacted(location), scheme, memoryLocation)
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
