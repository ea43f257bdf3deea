// Package prometheus checks our output, and our parser of selectors, with Prometheus's own code: its
// parsers and promtool. The package is a separate module, because Prometheus has many dependencies.
package prometheus
