package inspect

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/scan"
)

// Finding is the result of a check of the environment: a Problem. A check without a problem has
// severity OK.
type Finding struct {
	Check string // a single, stable word
	Problem
}

// Bounds of the findings.
const (
	// scrapeTimeout is Prometheus's default timeout of a scrape.
	scrapeTimeout = 10 * time.Second
	// slowScrape is a small share of the timeout: other programs share the machine.
	slowScrape = scrapeTimeout / 5

	// took is how exactly times are told.
	took = 100 * time.Microsecond

	// littleSpace is room for some processes' files to grow once more.
	littleSpace = 16 << 20
	noSpace     = 1 << 20
	fewInodes   = 100
)

// Doctor checks the environment of a directory: access, programs that share the directory, and
// future problems.
func (s *Survey) Doctor() []Finding {
	d := &doctor{survey: s}
	if s.Remote {
		d.server()
	} else {
		d.directory()
	}
	if s.Present {
		if !s.Remote {
			d.fileSystem()
			d.locks()
			d.space()
		}
		d.programs()
		d.files()
		d.dead()
		d.archive()
		if !s.Remote {
			d.leftOvers()
			d.foreign()
		}
		d.series()
		d.clock()
		d.scrape()
	}
	return d.findings
}

type doctor struct {
	survey   *Survey
	findings []Finding
}

func (d *doctor) add(check string, severity Severity, subject, what, means, remedy string) {
	d.findings = append(d.findings, Finding{Check: check, Problem: Problem{
		Severity: severity, Subject: subject, Reason: check, What: what, Means: means, Remedy: remedy,
	}})
}

func (d *doctor) ok(check, format string, args ...any) {
	d.add(check, OK, d.survey.Directory, fmt.Sprintf(format, args...), "", "")
}

func (d *doctor) directory() {
	s := d.survey
	if s.Present {
		owner, mode := ownerOf(s.Directory)
		d.ok("directory", "%s belongs to %s, mode %s", s.Directory, owner, mode)
		return
	}
	switch _, err := os.Lstat(s.Directory); {
	case err != nil:
		d.add("directory", Error, s.Directory, Escape(err.Error()),
			"no process with this directory has counted anything, or this host or container does not see it",
			"compare MPMETRICS_DIR here and in the service; in a pod, mount the same emptyDir into all containers")
	default:
		d.add("directory", Error, s.Directory, Escape(fmt.Sprint(s.Err)),
			"it is not safe to use: processes count in memory, and each shows its own values only", "the text names the remedy")
	}
}

// server checks whether the server answers.
func (d *doctor) server() {
	s := d.survey
	if !s.Present {
		d.add("server", Error, s.Directory, Escape(fmt.Sprint(s.Err)),
			"processes count in memory until it answers; scrapes have no cumulative metrics",
			"the error says how; the documentation of store/redis lists the rights that a user needs")
		return
	}
	d.ok("server", "it answers")
}

func (d *doctor) fileSystem() {
	dir := d.survey.Directory
	switch {
	case runtime.GOOS != "linux":
		d.ok("filesystem", "its kind is not known on %s; best is one in memory", runtime.GOOS)
		return
	case !directory.OnDisk(dir):
		d.ok("filesystem", "in memory: a scrape and an update never wait for a disk")
		return
	}
	d.add("filesystem", Warning, dir, "the directory is on a disk",
		"it works, but a process that touches a page of a frozen or stuck file system stops with all its goroutines; and after a crash of the machine totals restart",
		"put it on tmpfs: /dev/shm, /run, or an emptyDir with medium Memory; only the archive belongs on a disk (MPMETRICS_ARCHIVE_DIR)")
}

func (d *doctor) locks() {
	s := d.survey
	live := slices.ContainsFunc(s.Processes, func(p *Process) bool { return p.State == Live })
	tried, err := locksExclude(s.Directory)
	switch {
	case tried && err != nil:
		d.add("locks", Error, s.Directory, Escape(err.Error()),
			"a living process cannot be told from a dead one: it would be absorbed while it counts",
			"use a local file system; if this is one, report it")
	case live:
		d.ok("locks", "they exclude, and the lock of a living process is seen from here")
	case tried:
		d.ok("locks", "they exclude")
	default:
		d.ok("locks", "not tried: nothing can be made here, and no process lives")
	}
}

func (d *doctor) space() {
	s := d.survey
	free, inodes, known := freeSpace(s.Directory)
	if !known {
		return
	}
	remedy := "make room, or a larger tmpfs (--shm-size, sizeLimit); mpmetrics-inspect analyze lists large families, gc absorbs dead processes"
	switch {
	case free < noSpace:
		d.add("space", Error, s.Directory, fmt.Sprintf("%d KiB are free", free>>10), "new series are counted in memory and are in no total; those that exist are not affected", remedy)
	case free < littleSpace:
		d.add("space", Warning, s.Directory, fmt.Sprintf("%d MiB are free", free>>20), "when nothing is left, new series are counted in memory and are in no total", remedy)
	case inodes < fewInodes:
		d.add("space", Warning, s.Directory, fmt.Sprintf("%d more files can be made", inodes), "each process needs one; without it counts in memory", remedy)
	default:
		d.ok("space", "%d MiB and %d files are free", free>>20, inodes)
	}
}

// programs reports the programs that share the directory.
func (d *doctor) programs() {
	s := d.survey
	counts := map[string]int{}
	var names []string
	for _, p := range s.Processes {
		if p.State == Live {
			if counts[p.Program] == 0 {
				names = append(names, p.Program)
			}
			counts[p.Program]++
		}
	}
	slices.Sort(names)
	for i, n := range names {
		names[i] = fmt.Sprintf("%d of %s", counts[n], Escape(n))
	}
	conflicts := 0
	for _, f := range s.Families {
		if len(f.Conflicts) > 0 {
			conflicts++
		}
	}
	text := "no process lives"
	if len(names) > 0 {
		text = "living processes: " + strings.Join(names, ", ")
	}
	if conflicts > 0 {
		d.add("programs", Warning, s.Directory, fmt.Sprintf("%s; their definitions of %d families conflict", text, conflicts),
			"some values may not be merged: mpmetrics-inspect check lists them",
			"one version of one program for each directory; while one replaces another it passes")
	} else {
		if len(names) > 1 {
			text += "; should they share a directory?"
		}
		d.ok("programs", "%s", text)
	}
	for _, dup := range duplicates(s.labelled()) {
		d.add("programs", Warning, "process="+Escape(dup.Label), fmt.Sprintf("%d living processes with All or LiveAll gauges have this value of the label process", len(dup.Process)),
			"samples of these gauges have a suffix, such as "+Escape(dup.Label)+"-2, which may change with every start", "set MPMETRICS_PROCESS to a different value in each, for example the name of the container")
	}
}

// labelled returns the processes with a sample that has the label "process": only these processes
// need different values of the label.
func (s *Survey) labelled() []*Process {
	return slices.DeleteFunc(slices.Clone(s.Processes), func(p *Process) bool { return !p.labelled })
}

// files repeats the survey's problems with skipped files.
func (d *doctor) files() {
	s := d.survey
	bad := 0
	for _, p := range s.Problems {
		if _, isReason := advices[scan.Reason(p.Reason)]; isReason || slices.Contains([]string{"removed", "elsewhere", string(Locked)}, p.Reason) {
			bad++
			d.findings = append(d.findings, Finding{Check: "files", Problem: p})
		}
	}
	if bad == 0 {
		d.ok("files", "files of processes: %d, all readable and of format version %d", len(s.Processes), layout.Version)
	}
}

func (d *doctor) dead() {
	s := d.survey
	switch n := s.Count(Dead); {
	case n == 0:
		d.ok("absorption", "no dead process waits")
	case n < directory.Crowded:
		d.ok("absorption", "dead processes that the next scrape will absorb: %d; if that does not happen, no collector is scraped here", n)
	default:
		d.add("absorption", Warning, s.Directory, fmt.Sprintf("%d dead processes are not absorbed", n),
			"every scrape reads their files: it takes longer with each process that ends",
			"mpmetrics-inspect gc absorbs them now; is a collector scraped, and without NoAbsorption? Does mpmetrics_absorption_stopped say something?")
	}
}

func (d *doctor) archive() {
	s := d.survey
	a := &s.Archive
	switch {
	case !a.Exists && a.Written.IsZero():
		d.ok("archive", "none yet: no process was absorbed")
		return
	case !a.Exists:
		return // a finding about files
	}
	d.ok("archive", "%d series of %d processes, %d KiB", a.Series, a.Absorbed, a.Bytes>>10)
	if !a.Begun.IsZero() {
		d.add("archive", Warning, a.Path, "totals restarted on "+a.Begun.UTC().Format(time.DateTime)+" UTC",
			"the previous archive was damaged, or of an earlier boot of the machine; start timestamps show the restart too",
			"nothing; for totals that outlast a reboot, set MPMETRICS_ARCHIVE_DIR, and let the last step of a shutdown be mpmetrics-inspect gc")
	}
	if a.Unabsorbed > 0 {
		d.add("archive", Warning, a.Path, fmt.Sprintf("%d sums were not finite and left with their processes", a.Unabsorbed),
			"a histogram or counter was given NaN or Inf", "look for the observed values")
	}
}

func (d *doctor) leftOvers() {
	s := d.survey
	for _, f := range s.Quarantine {
		d.findings = append(d.findings, Finding{Check: "quarantine", Problem: quarantineProblem(f)})
	}
	old := 0
	for _, f := range s.Temporary {
		if s.Time.Sub(f.Changed) > directory.TemporaryAge {
			old++
		}
	}
	if old > 0 {
		d.add("temporary", Warning, s.Directory, fmt.Sprintf("%d unfinished files of killed processes", old),
			"they take room, and nothing else", "mpmetrics-inspect gc, or the next absorption, removes them")
	}
}

// pythonFile matches the names of the files of prometheus/client_python: the type, of a gauge the
// mode too, and the pid, or the identifier that a program has in the place of the pid.
var pythonFile = regexp.MustCompile(`^(counter|histogram|summary|gauge_(live)?(all|min|max|sum|mostrecent))_.+\.db$`)

func (d *doctor) foreign() {
	s := d.survey
	var python int
	names, _ := directory.List(s.Parent)
	for _, name := range slices.Concat(names, s.Foreign) {
		if pythonFile.MatchString(name) {
			python++
		}
	}
	if python > 0 {
		d.add("foreign", Warning, s.Parent, fmt.Sprintf("%d files of the Python client, such as counter_4711.db", python),
			"nothing breaks, but a Python and a Go service share a directory, and neither shows the other's values",
			"give PROMETHEUS_MULTIPROC_DIR and MPMETRICS_DIR different directories")
	}
	if n := len(s.Foreign); n > 0 {
		few := make([]string, min(n, 5))
		for i := range few {
			few[i] = Escape(s.Foreign[i])
		}
		d.add("foreign", Warning, s.Directory, fmt.Sprintf("%d foreign files: %s", n, strings.Join(few, ", ")), "they are never read", "move them: the directory is for mpmetrics alone")
		return
	}
	if python == 0 {
		d.ok("foreign", "no foreign files")
	}
}

// expectedQuantiles is the label of quantiles that are not mirrored. The Go collector has some, so
// every process with a Go collector counts them, and nothing is wrong.
var expectedQuantiles = layout.Label{Name: "reason", Value: "quantiles"}

// series checks the metrics of processes about mpmetrics.
func (d *doctor) series() {
	s := d.survey
	for name, advice := range map[string][2]string{
		layout.ReservedPrefix + "dropped_series_total": {"new series are counted in memory, and are in no total", "fewer label values (mpmetrics-inspect analyze), or a higher Opts.MaxSeries"},
		layout.ReservedPrefix + "unmirrored_total":     {"foreign collectors have metrics that are not mirrored", "the label reason says why: see the README, Metrics about mpmetrics"},
	} {
		f := s.Family(name)
		if f == nil || f.merged == nil {
			continue
		}
		for _, series := range f.merged.Series {
			v := s.value(f, series)
			if slices.Contains(v.Labels, expectedQuantiles) {
				continue
			}
			if v.Number() > 0 {
				d.add("series", Warning, v.Series(), "is "+FormatNumber(v.Number()), advice[0], advice[1])
			}
		}
	}
}

func (d *doctor) clock() {
	s := d.survey
	for _, p := range s.Processes {
		if ahead := p.Start.Sub(s.Time); ahead > time.Second {
			d.add("clock", Warning, Escape(p.Name), fmt.Sprintf("it was started %s in the future", ahead.Round(time.Second)),
				"the clock was set back; until it has caught up this process decides help, type and mode of its families, and is the newest", "use a clock that is slewed, not set: chrony, ntpd")
		}
	}
}

func (d *doctor) scrape() {
	s := d.survey
	n := 0
	for _, f := range s.Families {
		n += f.Series
	}
	text := fmt.Sprintf("reading and merging %d series of %d processes took %s; Prometheus waits %s for a scrape", n, len(s.Processes), s.Took.Round(took), scrapeTimeout)
	if s.Took < slowScrape {
		d.ok("scrape", "%s", text)
		return
	}
	severity := Warning
	if s.Took > scrapeTimeout*8/10 {
		severity = Error
	}
	d.add("scrape", severity, s.Directory, text, "a scrape that takes longer is lost as a whole", "fewer series (mpmetrics-inspect analyze), fewer processes, mpmetrics-inspect gc; or a higher scrape_timeout and collector.Opts.Timeout")
}

// ownerOf returns the owner and the mode of a directory.
func ownerOf(path string) (owner, mode string) {
	info, err := os.Lstat(path)
	if err != nil {
		return "unknown", "unknown"
	}
	return ownerText(info), fmt.Sprintf("%#o", octal(info.Mode()))
}

// octal is a mode in the form of chmod.
func octal(m os.FileMode) uint32 {
	bits := uint32(m.Perm())
	if m&os.ModeSetgid != 0 {
		bits |= 0o2000
	}
	if m&os.ModeSticky != 0 {
		bits |= 0o1000
	}
	return bits
}

func quarantineProblem(f File) Problem {
	return Problem{
		Severity: Warning, Subject: filepath.Join(layout.QuarantineName, Escape(f.Name)), Reason: "quarantine",
		What:   fmt.Sprintf("put aside on %s UTC: %s", f.Changed.UTC().Format(time.DateTime), Escape(f.Reason)),
		Means:  "its counts are in no total; mpmetrics never removes it",
		Remedy: "mpmetrics-inspect repair saves the readable part of a damaged file; remove the file once you know the reason",
	}
}
