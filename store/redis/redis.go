// Package redis lets stores, collectors and mpmetrics-inspect keep metrics on a
// Redis or Valkey server, for processes without a directory in common. Import it for
// its effect:
//
//	import _ "github.com/mpmetrics/mpmetrics/store/redis"
//
// and set MPMETRICS_URL. The code of the application stays as it is.
package redis

import "github.com/mpmetrics/mpmetrics/internal/remote"

func init() { remote.Register(open, "redis", "rediss", "valkey", "valkeys", "unix") }
