package remote

import (
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
)

// Opener makes a Server of a location. It does not connect yet.
type Opener func(location *url.URL, log *slog.Logger) (Server, error)

var (
	openersMu sync.Mutex
	openers   = map[string]Opener{}
)

// schemes are those of the backends that this module has, with what to import.
var schemes = map[string]string{
	"redis":   "github.com/mpmetrics/mpmetrics/store/redis",
	"rediss":  "github.com/mpmetrics/mpmetrics/store/redis",
	"valkey":  "github.com/mpmetrics/mpmetrics/store/redis",
	"valkeys": "github.com/mpmetrics/mpmetrics/store/redis",
	"unix":    "github.com/mpmetrics/mpmetrics/store/redis",
}

// Register makes locations with these schemes known.
func Register(open Opener, schemes ...string) {
	openersMu.Lock()
	defer openersMu.Unlock()
	for _, s := range schemes {
		openers[s] = open
	}
}

// IsLocation reports whether a location is a URL of a server, known or not.
func IsLocation(location string) bool {
	scheme, _, found := strings.Cut(location, "://")
	return found && scheme != "file"
}

// Open makes the Server of a location.
func Open(location string, log *slog.Logger) (Server, error) {
	u, err := url.Parse(location)
	if err != nil {
		// Its text has the whole location, and so a password.
		return nil, fmt.Errorf("location: not a URL, want for instance redis://host:6379/0?namespace=shop")
	}
	openersMu.Lock()
	open := openers[u.Scheme]
	openersMu.Unlock()
	if open != nil {
		s, err := open(u, log)
		if err != nil {
			return nil, fmt.Errorf("location %q: %w", u.Redacted(), err)
		}
		return s, nil
	}
	if path := schemes[u.Scheme]; path != "" {
		return nil, fmt.Errorf("location %q: the backend for %q is not in this program; add to it: import _ %q", u.Redacted(), u.Scheme, path)
	}
	return nil, fmt.Errorf("location %q: no backend for %q; use a directory, a URL such as redis://host:6379/0, or \"memory:\"", u.Redacted(), u.Scheme)
}

// Redacted is a location without its password.
func Redacted(location string) string {
	u, err := url.Parse(location)
	if err != nil {
		return "(not a URL)"
	}
	return u.Redacted()
}
