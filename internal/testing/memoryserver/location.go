package memoryserver

import (
	"fmt"
	"log/slog"
	"net/url"
	"sync"

	"github.com/mpmetrics/mpmetrics/internal/remote"
)

const scheme = "memoryserver"

var (
	mu      sync.Mutex
	clients = map[string]*Client{}
)

func init() { remote.Register(open, scheme) }

func open(location *url.URL, _ *slog.Logger) (remote.Server, error) {
	mu.Lock()
	defer mu.Unlock()
	c := clients[location.Host]
	if c == nil {
		return nil, fmt.Errorf("no server %q", location.Host)
	}
	return c, nil
}

// Location is a location for the client, valid in this process.
func (c *Client) Location() string {
	mu.Lock()
	defer mu.Unlock()
	host := fmt.Sprintf("s%d", len(clients))
	clients[host] = c
	return scheme + "://" + host
}
