// Plugin shows a host and its plugins. Each plugin is a process, started and stopped by
// HashiCorp's go-plugin.
//
// A plugin has no port, and may die at any time. Each plugin counts into the directory of the
// host, with its name in a label; the host serves the metrics of all plugins:
//
//	export MPMETRICS_DIR=/dev/shm/images
//	go build -o images . && ./images -listen 127.0.0.1:9100 &
//	curl http://127.0.0.1:9100/do/resize
//	curl http://127.0.0.1:9100/do/crop
//	curl http://127.0.0.1:9100/metrics
//
// A plugin inherits the environment of its host, with the directory.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:9100", "`address` of the host")
	name := flag.String("plugin", "", "be the plugin of this `name`; the host starts it so")
	flag.Parse()
	if *name != "" {
		bePlugin(*name)
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := host(ctx, *listen, "resize", "crop"); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "plugin:", err)
		os.Exit(1)
	}
}
