//go:build !linux && !darwin

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
)

// listen says that processes cannot share a port here in the way that this example is about.
func listen(context.Context, string) (net.Listener, error) {
	return nil, fmt.Errorf("several processes on one port: %w on %s", errors.ErrUnsupported, runtime.GOOS)
}
