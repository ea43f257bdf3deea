// Package collector is the scrape side of mpmetrics: a [prometheus.Collector] that merges the
// metrics of all processes of a service, live and dead.
//
//	prometheus.MustRegister(collector.New(collector.Opts{}))
//
// A registry with a [Collector] shows the metrics of package store. With a configured location, the
// registry shows the metrics of all processes with the same location, and otherwise the metrics of
// this process. Any process can scrape, even a process without own metrics.
//
// A registry fails the whole scrape if a family of another process has the name of a local family.
// If the registry also has collectors of the process itself, like the default registry of
// client_golang, use [NewGatherer]: a Gatherer shows the merged family.
//
// A scrape takes no lock that could delay another process, and writes into no file of another
// process. A cumulative series in a scrape goes up, is absent, or restarts. If the reading of a
// part fails for the moment (an I/O error, a file that changes during every try), the scrape leaves
// counters, histograms and summaries out, and mpmetrics_up is 0: a gap is harmless to rate, a dip
// is not. A damaged file costs its own share only.
//
// After a scrape that found dead processes, the collector absorbs the dead processes into the
// archive, in the background: see [compact.Run].
package collector
