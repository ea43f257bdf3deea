package remote

import (
	"fmt"
	"log/slog"
	"net/url"
	"sync"

	"github.com/mpmetrics/mpmetrics/internal/location"
)

// Opener makes a Server for a location, without connecting.
type Opener func(location *url.URL, log *slog.Logger) (Server, error)

var (
	openersMu sync.Mutex
	openers   = map[string]Opener{}
)

// schemes are the schemes of this module, each with the package to import.
var schemes = map[string]string{
	"redis":   "github.com/mpmetrics/mpmetrics/store/redis",
	"rediss":  "github.com/mpmetrics/mpmetrics/store/redis",
	"valkey":  "github.com/mpmetrics/mpmetrics/store/redis",
	"valkeys": "github.com/mpmetrics/mpmetrics/store/redis",
	"unix":    "github.com/mpmetrics/mpmetrics/store/redis",
}

// Register makes an Opener the Opener of some schemes.
func Register(open Opener, schemes ...string) {
	openersMu.Lock()
	defer openersMu.Unlock()
	for _, s := range schemes {
		openers[s] = open
	}
}

// Connect makes the Server of a location.
func Connect(l location.Location, log *slog.Logger) (Server, error) {
	u := l.URL()
	openersMu.Lock()
	open := openers[u.Scheme]
	openersMu.Unlock()
	if open != nil {
		s, err := open(u, log)
		if err != nil {
			return nil, fmt.Errorf("location %q: %w", l, err)
		}
		return s, nil
	}
	if path := schemes[u.Scheme]; path != "" {
		return nil, fmt.Errorf("location %q: the backend for %q is not in this program; add the import _ %q", l, u.Scheme, path)
	}
	return nil, fmt.Errorf("location %q: no backend for %q; use a directory, a URL such as redis://host:6379/0, or %q", l, u.Scheme, location.Memory)
}
