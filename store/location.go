package store

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/mpmetrics/mpmetrics/internal/owner"
	"github.com/mpmetrics/mpmetrics/internal/place"
	"github.com/mpmetrics/mpmetrics/internal/publisher"
	"github.com/mpmetrics/mpmetrics/internal/remote"
)

// memoryLocation keeps everything in the process.
const memoryLocation = "memory:"

// makePlace is a variable for the tests.
var makePlace = newPlace

// newPlace makes the place that the location of a store names. Nothing else chooses a
// place.
func newPlace(s *Store) (place.Place, error) {
	o := &s.opts
	switch {
	case o.Location == memoryLocation:
		return place.Memory{}, nil
	case remote.IsLocation(o.Location):
		return publisher.New(publisher.Config{
			Location: o.Location, Process: o.Process, FlushInterval: o.FlushInterval,
			Logger: o.Logger, Now: clock, NoAbsorption: o.NoAbsorption, Crowd: owner.ManyFiles, Host: (*host)(s),
		})
	}
	dir, err := Directory(o.Location)
	if err != nil {
		return nil, err
	}
	o.dir = dir
	return owner.New(owner.Config{
		Dir: dir, ArchiveDir: o.ArchiveDir, Access: o.access(), Process: o.Process,
		Logger: o.Logger, Tick: tick, Now: clock, NoAbsorption: o.NoAbsorption, Host: (*host)(s),
	}, s.catalog), nil
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
