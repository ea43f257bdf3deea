package redis

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/valkey-io/valkey-go"
)

const (
	defaultNamespace  = "default"
	maxNamespaceBytes = 200

	// dialTimeout and answerTimeout are far above the usual times of a server, and below the time
	// of a scrape.
	dialTimeout   = time.Second
	answerTimeout = 5 * time.Second

	// Buffers of a connection: a process sends little, and has few connections.
	bufferBytes = 64 << 10
	ringScale   = 8 // 256 pending commands
)

// parameters are the parameters of a location, each with its purpose.
var parameters = map[string]string{
	"namespace":     "apart from other services on the same server",
	"addr":          "a further node of a cluster, or a further sentinel",
	"master_set":    "name of the master that sentinels watch",
	"db":            "number of the database, of a unix socket",
	"protocol":      "2 for RESP2",
	"skip_verify":   "of a TLS certificate",
	"client_name":   "in CLIENT LIST",
	"dial_timeout":  "as 1s",
	"write_timeout": "as 5s",
}

// parse reads a location.
func parse(u *url.URL) (namespace string, o valkey.ClientOption, err error) {
	query := u.Query()
	for name := range query {
		if parameters[name] == "" {
			return "", o, fmt.Errorf("unknown parameter %q; there are %s", name, strings.Join(slices.Sorted(maps.Keys(parameters)), ", "))
		}
	}
	namespace = query.Get("namespace")
	if namespace == "" {
		namespace = defaultNamespace
	}
	if len(namespace) > maxNamespaceBytes || strings.ContainsFunc(namespace, func(r rune) bool { return r == '{' || r == '}' || r < ' ' || r == 0x7f }) {
		return "", o, fmt.Errorf("namespace %.100q: at most %d bytes, without braces and control characters", namespace, maxNamespaceBytes)
	}
	if o, err = valkey.ParseURL(u.String()); err != nil {
		return "", o, fmt.Errorf("%w; want for instance redis://user:password@host:6379/0?namespace=shop", err)
	}
	if o.Dialer.Timeout == 0 {
		o.Dialer.Timeout = dialTimeout
	}
	if o.ConnWriteTimeout == 0 {
		o.ConnWriteTimeout = answerTimeout
	}
	o.ReadBufferEachConn, o.WriteBufferEachConn, o.RingScaleEachConn = bufferBytes, bufferBytes, ringScale
	o.PipelineMultiplex = -1
	o.DisableCache = true // nothing is read twice
	o.DisableRetry = true // the caller knows better which command to send next
	return namespace, o, nil
}
