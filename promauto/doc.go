// Package promauto has the functions of client_golang's package promauto, for metrics that lose
// nothing: a program that imports this package instead of
// github.com/prometheus/client_golang/prometheus/promauto counts with the instruments of package
// store, and needs no other change where its metrics are made.
//
//	import "github.com/mpmetrics/mpmetrics/promauto"
//
// Package collector shows the metrics; without a configured location too.
//
// [With] decides by its Registerer where a metric counts:
//
//	prometheus.DefaultRegisterer   the default store
//	store.Registerer()             the default store
//	Store.Registerer()             that store
//	nil                            nowhere, as in client_golang: a metric that no registry knows
//	another Registerer             there, as in client_golang: a registry of a test, or a wrapped
//	                               Registerer. A wrapped Registerer of a store mirrors the metric,
//	                               so that SIGKILL loses the last interval
//
// A metric whose function computes the value, such as a GaugeFunc, and a summary with Objectives
// have no cells in a file: the Registerer of the store mirrors the metric.
package promauto
