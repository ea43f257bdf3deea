package main

// Units of the testing package, and own units.
const (
	perOperation  = "ns/op"
	allocations   = "allocs/op"
	diskBytes     = "disk-B"
	residentBytes = "resident-B"
	rareLatency   = "p99.9-ns"
	outputBytes   = "output-B" // of client_golang, the text; of mpmetrics, its memory
)

// row is one line of the report.
type row struct {
	what   string
	name   string // of the benchmark, without the library
	unit   string
	target target

	// beside names a benchmark of mpmetrics that replaces the benchmark of client_golang.
	beside string
}

// target is the target of a row. At most one field is set; without a field the row has no target.
type target struct {
	ratio float64 // at most so many times client_golang's
	more  float64 // at most client_golang's and so much
	value float64 // at most so much
}

var rows = []row{
	{what: "Inc", name: "Update/op=Inc/goroutines=1", unit: perOperation, target: target{ratio: 1}},
	{what: "Inc, all cores on one", name: "Update/op=Inc/goroutines=cores", unit: perOperation, target: target{ratio: 1}},
	{what: "Add(1.5)", name: "Update/op=Add(1.5)/goroutines=1", unit: perOperation, target: target{ratio: 1}},
	{what: "Add(1.5), all cores on one", name: "Update/op=Add(1.5)/goroutines=cores", unit: perOperation, target: target{ratio: 0.6}},
	{what: "Set", name: "Update/op=Set/goroutines=1", unit: perOperation, target: target{ratio: 1}},
	{what: "Set, all cores on one", name: "Update/op=Set/goroutines=cores", unit: perOperation, target: target{ratio: 1}},
	{what: "Observe", name: "Update/op=Observe/goroutines=1", unit: perOperation, target: target{ratio: 0.8}},
	{what: "Observe, all cores on one", name: "Update/op=Observe/goroutines=cores", unit: perOperation, target: target{ratio: 0.6}},
	{what: "WithLabelValues(a).Inc", name: "Update/op=WithLabelValues(1).Inc/goroutines=1", unit: perOperation, target: target{ratio: 1}},
	{what: "WithLabelValues(a).Inc, all cores on one", name: "Update/op=WithLabelValues(1).Inc/goroutines=cores", unit: perOperation, target: target{ratio: 1}},
	{what: "WithLabelValues(a, b).Inc", name: "Update/op=WithLabelValues(2).Inc/goroutines=1", unit: perOperation, target: target{ratio: 1}},
	{what: "WithLabelValues(a, b).Inc, all cores on one", name: "Update/op=WithLabelValues(2).Inc/goroutines=cores", unit: perOperation, target: target{ratio: 1}},
	{what: "Inc at the 99.9th percentile, 64 writers, scraped", name: "SlowLatency/writers=64", unit: rareLatency, target: target{ratio: 2}},
	{what: "new series", name: "NewSeries/goroutines=1", unit: perOperation, target: target{more: 300}},
	{what: "new series, 1000 goroutines at once", name: "NewSeries/goroutines=1000", unit: perOperation, target: target{more: 300}},
	{what: "a new series at the 99.9th percentile, 1000 in a row", name: "RareNewSeries/burst=1000/step=make", unit: rareLatency},
	{what: "With of another series of that vec, meanwhile", name: "RareNewSeries/burst=1000/step=look_up", unit: rareLatency},
	{what: "a new series at the percentile, 10,000 in a row", name: "RareNewSeries/burst=10000/step=make", unit: rareLatency},
	{what: "With of another series of that vec, meanwhile", name: "RareNewSeries/burst=10000/step=look_up", unit: rareLatency},
	{what: "a process with ten series, from exec to exit", name: "Process/series=10", unit: perOperation, target: target{more: 1e6}},
	{what: "scrape, 4 processes × 1000 counters", name: "Scrape/shape=counters/procs=4", unit: perOperation},
	{what: "scrape, 64 × 1000 counters", name: "Scrape/shape=counters/procs=64", unit: perOperation, target: target{ratio: 1.5}},
	{what: "the same, allocations", name: "Scrape/shape=counters/procs=64", unit: allocations, target: target{more: 2000}},
	{what: "scrape, 256 × 1000 counters", name: "Scrape/shape=counters/procs=256", unit: perOperation, target: target{ratio: 3}},
	{what: "scrape, 64 × 100 histograms × 10 buckets", name: "Scrape/shape=histograms/procs=64", unit: perOperation, target: target{ratio: 2}},
	{what: "scrape, 64 × 100,000 counters", name: "SlowScrape/procs=64", unit: perOperation, target: target{ratio: 3}},
	{what: "the same, its text and the memory kept for it", name: "SlowScrape/procs=64", unit: outputBytes, target: target{ratio: 2}},
	{what: "scrape, 16 × 100 counters", name: "Scrape/shape=counters100/procs=16", unit: perOperation},
	{what: "scrape, 16 × 1000 counters", name: "Scrape/shape=counters/procs=16", unit: perOperation},
	{what: "scrape, 16 × 10,000 counters", name: "Scrape/shape=counters10000/procs=16", unit: perOperation},
	{what: "scrape, 4 × 1000 counters + 1000 dead × 10", name: "ScrapeDead/procs=4/dead=1000", unit: perOperation},
	{what: "scrape, 4 × 1000 counters, none absorbed", name: "ScrapeAbsorbed/procs=4/absorbed=0", unit: perOperation},
	{what: "scrape, 4 × 1000 counters, 10 absorbed", name: "ScrapeAbsorbed/procs=4/absorbed=10", unit: perOperation},
	{what: "scrape, 4 × 1000 counters, 100 absorbed", name: "ScrapeAbsorbed/procs=4/absorbed=100", unit: perOperation},
	{what: "scrape, 4 × 1000 counters, 1000 absorbed", name: "ScrapeAbsorbed/procs=4/absorbed=1000", unit: perOperation},
	{
		what: "scrape, 4 × 1000 counters, 100,000 absorbed, beside none", name: "ScrapeAbsorbed/procs=4/absorbed=100000", unit: perOperation,
		target: target{ratio: 1.05}, beside: "ScrapeAbsorbed/procs=4/absorbed=0",
	},
	{what: "scrape, Go and process collectors of 64 processes", name: "ScrapeMirrored/shape=go/procs=64", unit: perOperation},
	{what: "the same with as many instruments of ours", name: "ScrapeMirrored/shape=cells/procs=64", unit: perOperation},
	{what: "mirror 1000 counters and 100 histograms, unchanged", name: "Flush/changed=0", unit: perOperation, target: target{value: 10e6}},
	{what: "mirror 1000 counters, each a collector of its own", name: "Flush/collectors=1000", unit: perOperation, target: target{value: 10e6}},
	{what: "mirror a vec of 100,000 series, of which 1000 have room", name: "Flush/beyond=99000", unit: perOperation, target: target{value: 500e6}},
	{what: "first scrape of a collector, 64 × 1000 counters", name: "FirstScrape/procs=64", unit: perOperation},
	{what: "Open and Close", name: "OpenClose", unit: perOperation},
	{what: "absorb a dead process with 10 counters", name: "Absorb/series=10", unit: perOperation},
	{what: "absorb a dead process with 1000 counters", name: "Absorb/series=1000", unit: perOperation},
	{what: "resident memory of a process with 1000 counters", name: "Resident/series=1000", unit: residentBytes, target: target{more: 1 << 20}},
	{what: "disk of a process with 10 counters", name: "Disk/series=10", unit: diskBytes, target: target{value: 48 << 10}},
	{what: "disk of a process with 1000 counters", name: "Disk/series=1000", unit: diskBytes},
	{what: "disk of a process with 10,000 counters", name: "Disk/series=10000", unit: diskBytes},
}
