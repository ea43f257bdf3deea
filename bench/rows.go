package main

// Units of the testing package, and one of ours.
const (
	perOperation = "ns/op"
	diskBytes    = "disk-B"
)

// row is one line of the report.
type row struct {
	what   string
	name   string // of the benchmark, without the library
	unit   string
	target target
}

// target says when a row is good. At most one of its fields is set; none is no target.
type target struct {
	ratio float64 // at most so many times client_golang's
	more  float64 // at most client_golang's and so much
	value float64 // at most so much
}

var rows = []row{
	{"Inc", "Update/op=Inc/goroutines=1", perOperation, target{ratio: 1}},
	{"Inc, all cores on one", "Update/op=Inc/goroutines=cores", perOperation, target{ratio: 1}},
	{"Add(1.5)", "Update/op=Add(1.5)/goroutines=1", perOperation, target{ratio: 1}},
	{"Add(1.5), all cores on one", "Update/op=Add(1.5)/goroutines=cores", perOperation, target{ratio: 1}},
	{"Set", "Update/op=Set/goroutines=1", perOperation, target{ratio: 1}},
	{"Set, all cores on one", "Update/op=Set/goroutines=cores", perOperation, target{ratio: 1}},
	{"Observe", "Update/op=Observe/goroutines=1", perOperation, target{ratio: 1}},
	{"Observe, all cores on one", "Update/op=Observe/goroutines=cores", perOperation, target{ratio: 1}},
	{"WithLabelValues(a).Inc", "Update/op=WithLabelValues(1).Inc/goroutines=1", perOperation, target{ratio: 1}},
	{"WithLabelValues(a).Inc, all cores on one", "Update/op=WithLabelValues(1).Inc/goroutines=cores", perOperation, target{ratio: 1}},
	{"WithLabelValues(a, b).Inc", "Update/op=WithLabelValues(2).Inc/goroutines=1", perOperation, target{ratio: 1}},
	{"WithLabelValues(a, b).Inc, all cores on one", "Update/op=WithLabelValues(2).Inc/goroutines=cores", perOperation, target{ratio: 1}},
	{"new series", "NewSeries/goroutines=1", perOperation, target{more: 500}},
	{"new series, 1000 goroutines at once", "NewSeries/goroutines=1000", perOperation, target{more: 500}},
	{"scrape, 4 processes × 1000 counters", "Scrape/shape=counters/procs=4", perOperation, target{}},
	{"scrape, 64 × 1000 counters", "Scrape/shape=counters/procs=64", perOperation, target{ratio: 2}},
	{"scrape, 256 × 1000 counters", "Scrape/shape=counters/procs=256", perOperation, target{ratio: 5}},
	{"scrape, 64 × 100 histograms × 10 buckets", "Scrape/shape=histograms/procs=64", perOperation, target{}},
	{"scrape, 4 × 1000 counters + 1000 dead × 10", "ScrapeDead/procs=4/dead=1000", perOperation, target{}},
	{"scrape, 4 × 1000 counters, none absorbed", "ScrapeAbsorbed/procs=4/absorbed=0", perOperation, target{}},
	{"scrape, 4 × 1000 counters, 1000 absorbed", "ScrapeAbsorbed/procs=4/absorbed=1000", perOperation, target{}},
	{"scrape, 4 × 1000 counters, 100,000 absorbed", "ScrapeAbsorbed/procs=4/absorbed=100000", perOperation, target{}},
	{"scrape, Go and process collectors of 64 processes", "ScrapeMirrored/shape=go/procs=64", perOperation, target{}},
	{"the same with as many instruments of ours", "ScrapeMirrored/shape=cells/procs=64", perOperation, target{}},
	{"mirror 1000 counters and 100 histograms, unchanged", "Flush/changed=0", perOperation, target{value: 10e6}},
	{"first scrape of a collector, 64 × 1000 counters", "FirstScrape/procs=64", perOperation, target{}},
	{"Open and Close", "OpenClose", perOperation, target{}},
	{"absorb a dead process with 10 counters", "Absorb/series=10", perOperation, target{}},
	{"absorb a dead process with 1000 counters", "Absorb/series=1000", perOperation, target{}},
	{"disk of a process with 10 counters", "Disk/series=10", diskBytes, target{value: 64 << 10}},
	{"disk of a process with 1000 counters", "Disk/series=1000", diskBytes, target{}},
	{"disk of a process with 10,000 counters", "Disk/series=10000", diskBytes, target{}},
}
