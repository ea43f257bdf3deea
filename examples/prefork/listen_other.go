//go:build !linux && !darwin

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
)

// listen returns an error, because processes cannot share a port on this system as the example
// needs.
func listen(context.Context, string) (net.Listener, error) {
	return nil, fmt.Errorf("several processes on one port: %w on %s", errors.ErrUnsupported, runtime.GOOS)
}
