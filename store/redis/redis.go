// Package redis lets stores, collectors and mpmetrics-inspect keep metrics on a Redis or Valkey
// server, for processes without a common directory. Import the package for its effect:
//
//	import _ "github.com/mpmetrics/mpmetrics/store/redis"
//
// and set MPMETRICS_URL. The code of the application stays unchanged.
//
// A user needs at least these rights, here for the namespace shop:
//
//	ACL SETUSER shop on >secret resetkeys ~{mpmetrics:shop}:* resetchannels nocommands
//	+evalsha +eval +time +hget +hmget +hgetall +hset +hdel +hexists +exists +del
//	+zadd +zrange +zrem +zscore +pexpire +copy
//
// With +info a process can warn of a server that drops any key when memory is short, and with
// +ping idle connections leave no denials in ACL LOG. The client asks a cluster for its nodes by
// CLUSTER SLOTS, and from version 8 on by CLUSTER SHARDS.
package redis

import "github.com/mpmetrics/mpmetrics/internal/remote"

func init() { remote.Register(open, "redis", "rediss", "valkey", "valkeys", "unix") }
