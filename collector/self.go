package collector

import (
	"errors"
	"slices"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/internal/archive"
	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
	"github.com/mpmetrics/mpmetrics/internal/ownerfile"
	"github.com/mpmetrics/mpmetrics/internal/remote"
	"github.com/mpmetrics/mpmetrics/internal/scan"
)

// state is the result of one collection.
type state struct {
	up        bool
	directory bool // the fields below are of a location, except found
	found     scan.Found
	archive   *archive.Archive
	stopped   string // an element of stoppedReasons, or empty
	conflicts map[merge.Reason]float64
	series    int
	seconds   float64
	degraded  string // an element of degradedReasons, or empty
}

// begun returns when totals last restarted, or 0.
func (s *state) begun() int64 { return s.archive.Begun }

// totals are the counters of a collector about itself. The collector's mu guards totals.
type totals struct {
	readErrors map[scan.Reason]float64
	conflicts  map[merge.Reason]float64
	known      []merge.Conflict // of the last collection
	overlaps   map[string]bool  // names of local families that are counted already
	self       selfMetrics
}

func newTotals() totals {
	return totals{readErrors: map[scan.Reason]float64{}, conflicts: map[merge.Reason]float64{}, overlaps: map[string]bool{}, self: selfMetrics{pairs: map[selfLabel][]*dto.LabelPair{}}}
}

func (t *totals) readError(err error) { t.readErrors[scan.ReasonOf(err)]++ }

// conflict counts the conflicts that are new since the last collection.
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

// overlap is the conflict of a family in both the local registry and the merged families.
const overlap merge.Reason = "overlap"

// conflictReasons are the reasons of conflicts between merged families.
var conflictReasons = []merge.Reason{
	merge.TypeConflict, merge.ModeConflict, merge.HelpConflict, merge.LabelsConflict,
	merge.BucketsConflict, merge.SuffixConflict,
}

// byReason counts conflicts by reason.
func byReason(conflicts []merge.Conflict) map[merge.Reason]float64 {
	counts := make(map[merge.Reason]float64, len(conflictReasons))
	for _, c := range conflicts {
		counts[c.Reason]++
	}
	return counts
}

// degradedReasons are the label values for a store that counts in memory.
var degradedReasons = []string{"space", "permission", "io", "memory", "descriptors", "removed", "unsupported", "moved", "unreachable", "other"}

func degradedReason(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "space"
	case errors.Is(err, directory.ErrRefused), errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EROFS):
		return "permission"
	case errors.Is(err, syscall.EIO):
		return "io"
	case errors.Is(err, syscall.ENOMEM):
		return "memory"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return "descriptors"
	case errors.Is(err, ownerfile.ErrRemoved), errors.Is(err, ownerfile.ErrTruncated):
		return "removed"
	case errors.Is(err, errors.ErrUnsupported):
		return "unsupported"
	case errors.Is(err, ownerfile.ErrMoved):
		return "moved"
	case errors.Is(err, remote.ErrUnreachable):
		return "unreachable"
	}
	return "other"
}

// stoppedReasons are the label values for absorptions that stopped: the archive has a newer format
// or another byte order, is damaged, too large or refused, or is not at the configured place.
var stoppedReasons = []string{string(scan.Version), string(scan.ByteOrder), string(scan.Damaged), string(scan.Limit), string(scan.Refused), elsewhere}

const elsewhere = "elsewhere"

// stoppedReason returns the label value for an error of a scan.
func stoppedReason(err error) string {
	if errors.Is(err, archive.ErrElsewhere) {
		return elsewhere
	}
	if r := string(scan.ReasonOf(err)); slices.Contains(stoppedReasons, r) {
		return r
	}
	return ""
}

// selfNames are the names of the descriptors below. A file with a family of such a name, perhaps of
// another type, would make every scrape fail.
var selfNames = map[string]bool{}

var selfDescs []*prometheus.Desc

func selfDesc(name, help string, labels ...string) *prometheus.Desc {
	name = layout.ReservedPrefix + name
	d := prometheus.NewDesc(name, help, labels, nil)
	selfNames[name], selfDescs = true, append(selfDescs, d)
	return d
}

// The metrics about mpmetrics itself.
var (
	upDesc         = selfDesc("up", "Whether the scrape is complete: 1, or 0 if cumulative metrics are missing.")
	processesDesc  = selfDesc("processes", "Processes in the totals that are not absorbed, by state.", "state")
	filesDesc      = selfDesc("files", "Files of processes in the directory, by state.", "state")
	skippedDesc    = selfDesc("files_skipped", "Files that scrapes skip until the file changes, by reason. A file that was read before shows its last good values.", "reason")
	seriesDesc     = selfDesc("series", "Merged series in the scrape.")
	sizeDesc       = selfDesc("file_size_bytes", "Size of all readable files, including the archive.")
	durationDesc   = selfDesc("collect_duration_seconds", "Time for reading and merging in the scrape.")
	readErrorsDesc = selfDesc("read_errors_total", "Failed readings of files, by reason.", "reason")
	conflictsDesc  = selfDesc("conflicts_total", "Conflicting definitions of families that a scrape has met, by reason.", "reason")
	presentDesc    = selfDesc("conflicts", "Conflicting definitions of families in the scrape, by reason.", "reason")
	oldestDeadDesc = selfDesc("oldest_dead_file_age_seconds", "Time since a scrape first found the oldest dead process that is not absorbed; 0 without a dead process.")
	stoppedDesc    = selfDesc("absorption_stopped", "Whether the archive prevents the absorption of dead processes, by reason.", "reason")
	degradedDesc   = selfDesc("degraded", "Whether the answering process counts in memory, by reason: new series despite a directory, or all series despite a server.", "reason")
)

// The metrics about the archive. The archive holds the values, so that every process shows the
// same.
var (
	archiveSeriesDesc = selfDesc("archive_series", "Series in the archive of dead processes.")
	archiveSizeDesc   = selfDesc("archive_size_bytes", "Size of the archive of dead processes.")
	lastDesc          = selfDesc("last_absorption_timestamp_seconds", "Time of the last absorption of a dead process; 0 for never.")
	begunDesc         = selfDesc("archive_begun_timestamp_seconds", "Time of the last restart of the totals, after damage of the archive or possible damage of files of an earlier boot; 0 for never.")
	absorbedDesc      = selfDesc("absorbed_processes_total", "Dead processes that were absorbed into the archive.")
	quarantinedDesc   = selfDesc("quarantined_files_total", "Damaged or misplaced files that were put aside.")
	forgottenDesc     = selfDesc("forgotten_series_total", "Series that were dropped from the archive, by age or by the limit.")
	unabsorbedDesc    = selfDesc("unabsorbed_sums_total", "Sums that are not in the archive because the sum is not finite.")
	asideDesc         = selfDesc("archives_put_aside_total", "Archives that were put aside, each with a restart of the totals.")
)

func describeSelf(ch chan<- *prometheus.Desc) {
	for _, d := range selfDescs {
		ch <- d
	}
}

func (t *totals) metrics(s state) []prometheus.Metric {
	add, all := t.self.collection()
	add(upDesc, prometheus.GaugeValue, boolean(s.up))
	add(seriesDesc, prometheus.GaugeValue, float64(s.series))
	add(sizeDesc, prometheus.GaugeValue, float64(s.found.Bytes))
	add(durationDesc, prometheus.GaugeValue, s.seconds)
	add(processesDesc, prometheus.GaugeValue, float64(s.found.Live), "live")
	add(processesDesc, prometheus.GaugeValue, float64(s.found.Dead), "dead")
	if s.directory {
		add(filesDesc, prometheus.GaugeValue, float64(s.found.Live), "live")
		add(filesDesc, prometheus.GaugeValue, float64(s.found.Dead), "dead")
		add(filesDesc, prometheus.GaugeValue, float64(s.found.Unreadable), "unreadable")
		add(filesDesc, prometheus.GaugeValue, float64(s.found.Kept), "kept")
		for _, r := range scan.Reasons {
			if !r.Transient() {
				add(skippedDesc, prometheus.GaugeValue, float64(s.found.Skipped[r]), string(r))
			}
		}
		add(oldestDeadDesc, prometheus.GaugeValue, age(s.found.OldestDead))
		for _, r := range conflictReasons {
			add(presentDesc, prometheus.GaugeValue, s.conflicts[r], string(r))
		}
		for _, r := range stoppedReasons {
			add(stoppedDesc, prometheus.GaugeValue, boolean(r == s.stopped), r)
		}
	}
	for _, r := range scan.Reasons {
		add(readErrorsDesc, prometheus.CounterValue, t.readErrors[r], string(r))
	}
	for _, r := range conflictReasons {
		add(conflictsDesc, prometheus.CounterValue, t.conflicts[r], string(r))
	}
	add(conflictsDesc, prometheus.CounterValue, t.conflicts[overlap], string(overlap))
	for _, r := range degradedReasons {
		add(degradedDesc, prometheus.GaugeValue, boolean(r == s.degraded), r)
	}
	if s.directory && s.up {
		// After a failed reading the counters of the archive would dip too.
		a := s.archive
		add(archiveSeriesDesc, prometheus.GaugeValue, float64(a.Ledger.Series()))
		add(archiveSizeDesc, prometheus.GaugeValue, float64(a.Size))
		add(lastDesc, prometheus.GaugeValue, timestamp(a.Last))
		add(begunDesc, prometheus.GaugeValue, timestamp(a.Begun))
		add(absorbedDesc, prometheus.CounterValue, float64(a.Absorbed))
		add(quarantinedDesc, prometheus.CounterValue, float64(a.Quarantined))
		add(forgottenDesc, prometheus.CounterValue, float64(a.Forgotten))
		add(unabsorbedDesc, prometheus.CounterValue, float64(a.Unabsorbed))
		add(asideDesc, prometheus.CounterValue, float64(a.Aside))
	}
	return all()
}

// age returns the seconds since a moment, 0 for the zero time.
func age(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return time.Since(t).Seconds()
}

// timestamp converts Unix nanoseconds to seconds.
func timestamp(t int64) float64 { return float64(t) / float64(time.Second) }

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
