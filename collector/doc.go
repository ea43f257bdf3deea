// Package collector is the scrape side of mpmetrics: a prometheus.Collector
// that merges what all processes of a service count, living and dead.
//
//	prometheus.MustRegister(collector.New(collector.Opts{}))
//
// shows the metrics of package store in an existing registry: those of all
// processes that share the directory, or, with none configured, those of this
// process. Any process can scrape, also one that has no metrics of its own.
//
// A family of another process whose name the registry has already makes the
// whole scrape fail: that is how a registry works. Beside collectors of the
// process itself, such as those of client_golang's default registry, use
// [NewGatherer], which shows the merged family in that case.
//
// A scrape takes no lock that another process could feel and writes nothing
// into any file of theirs. What it shows is monotone, absent, or begun anew: when
// something cannot be read for the moment (an I/O error, a file that changes
// under every try) counters, histograms and summaries are left out of that
// scrape and mpmetrics_up is 0; a gap is harmless to rate, a dip is not. A file
// that is damaged costs its own share only.
//
// After a scrape that met the file of a dead process, that is absorbed into the
// archive, in the background: see package compact.
package collector
