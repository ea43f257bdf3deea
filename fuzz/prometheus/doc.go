// Package prometheus asks Prometheus's own code, its parsers and promtool, what
// it reads in our output. A module of its own: Prometheus brings many others.
package prometheus
