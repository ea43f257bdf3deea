package collector

import (
	"errors"
	"slices"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
	"github.com/mpmetrics/mpmetrics/internal/partition"
)

// state is what one collection found.
type state struct {
	up        bool
	processes map[string]int
	files     map[string]int
	bytes     int64
	series    int
	seconds   float64
	degraded  string // a degradedReasons, or empty
}

// totals are the counters of a collector about itself. Guarded by its mu.
type totals struct {
	readErrors map[reason]float64
	conflicts  map[merge.Reason]float64
	known      []merge.Conflict // of the last collection
	overlaps   map[string]bool  // names of local families, counted already
}

func newTotals() totals {
	return totals{readErrors: map[reason]float64{}, conflicts: map[merge.Reason]float64{}, overlaps: map[string]bool{}}
}

func (t *totals) readError(err error) { t.readErrors[reasonOf(err)]++ }

// conflict counts the conflicts that were not there at the last collection.
func (t *totals) conflict(now []merge.Conflict) {
	if slices.Equal(t.known, now) {
		return
	}
	known := make(map[merge.Conflict]bool, len(t.known))
	for _, c := range t.known {
		known[c] = true
	}
	for _, c := range now {
		if !known[c] {
			t.conflicts[c.Reason]++
			known[c] = true
		}
	}
	t.known = append(t.known[:0], now...)
}

// overlap is the conflict of a family that a local registry has and the merged
// ones have too.
const overlap merge.Reason = "overlap"

var conflictReasons = []merge.Reason{
	merge.TypeConflict, merge.ModeConflict, merge.HelpConflict, merge.LabelsConflict,
	merge.BucketsConflict, merge.SuffixConflict, overlap,
}

// Why a store counts in memory, as a label value.
var degradedReasons = []string{"space", "permission", "unsupported", "moved", "other"}

func degradedReason(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "space"
	case errors.Is(err, directory.ErrRefused), errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EROFS):
		return "permission"
	case errors.Is(err, errors.ErrUnsupported):
		return "unsupported"
	case errors.Is(err, partition.ErrMoved):
		return "moved"
	}
	return "other"
}

// selfNames are the names of the descriptors below. A file that defines one of
// them, of another type perhaps, would make every scrape fail.
var selfNames = map[string]bool{}

func selfDesc(name, help string, labels ...string) *prometheus.Desc {
	name = layout.ReservedPrefix + name
	selfNames[name] = true
	return prometheus.NewDesc(name, help, labels, nil)
}

// The metrics about mpmetrics itself.
var (
	upDesc         = selfDesc("up", "Whether everything could be read: 1, or 0 when cumulative metrics are left out of this scrape.")
	processesDesc  = selfDesc("processes", "Processes that contribute, by state.", "state")
	filesDesc      = selfDesc("files", "Files of processes in the directory, by state.", "state")
	seriesDesc     = selfDesc("series", "Merged series in this scrape.")
	sizeDesc       = selfDesc("file_size_bytes", "Size of all files that could be read.")
	durationDesc   = selfDesc("collect_duration_seconds", "Time that reading and merging took for this scrape.")
	readErrorsDesc = selfDesc("read_errors_total", "Files that could not be read, by reason.", "reason")
	conflictsDesc  = selfDesc("conflicts_total", "Definitions of families that processes do not agree about, by reason.", "reason")
	degradedDesc   = selfDesc("degraded", "Whether the process that answers counts new series in memory although a directory is configured, by reason.", "reason")
)

var selfDescs = []*prometheus.Desc{
	upDesc, processesDesc, filesDesc, seriesDesc, sizeDesc, durationDesc, readErrorsDesc, conflictsDesc, degradedDesc,
}

func describeSelf(ch chan<- *prometheus.Desc) {
	for _, d := range selfDescs {
		ch <- d
	}
}

func (t *totals) metrics(s state) []prometheus.Metric {
	var out []prometheus.Metric
	add := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
		out = append(out, prometheus.MustNewConstMetric(d, kind, v, labels...))
	}
	add(upDesc, prometheus.GaugeValue, boolean(s.up))
	add(seriesDesc, prometheus.GaugeValue, float64(s.series))
	add(sizeDesc, prometheus.GaugeValue, float64(s.bytes))
	add(durationDesc, prometheus.GaugeValue, s.seconds)
	for state, n := range s.processes {
		add(processesDesc, prometheus.GaugeValue, float64(n), state)
	}
	for state, n := range s.files {
		add(filesDesc, prometheus.GaugeValue, float64(n), state)
	}
	for _, r := range reasons {
		add(readErrorsDesc, prometheus.CounterValue, t.readErrors[r], string(r))
	}
	for _, r := range conflictReasons {
		add(conflictsDesc, prometheus.CounterValue, t.conflicts[r], string(r))
	}
	for _, r := range degradedReasons {
		add(degradedDesc, prometheus.GaugeValue, boolean(r == s.degraded), r)
	}
	return out
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
