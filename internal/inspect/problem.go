package inspect

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/mpmetrics/mpmetrics/internal/archive"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
	"github.com/mpmetrics/mpmetrics/internal/scan"
)

// Severity says how bad something is.
type Severity string

// The severities, ascending.
const (
	OK      Severity = "ok"
	Warning Severity = "warning" // values are right, but the situation is unusual
	Error   Severity = "error"   // values are missing, or will be
)

// Problem is a problem, with its meaning and its remedy.
type Problem struct {
	Severity Severity
	Subject  string // a file, a family, a directory
	Reason   string // a single, stable word
	What     string
	Means    string
	Remedy   string
}

// advice is the meaning of a reason, and the remedy.
type advice struct {
	severity Severity
	means    string
	remedy   string
}

// advices are about files, by reason; docs/operations.md says the same.
var advices = map[scan.Reason]advice{
	scan.Damaged: {
		severity: Error,
		means:    "its counts are missing from every scrape; a collector that has read it before shows its last values",
		remedy:   "mpmetrics-inspect repair saves the readable part; the next absorption puts the file into quarantine",
	},
	scan.Foreign: {
		severity: Error,
		means:    "it has the name of a process's file but another format; the counts of a process may be missing",
		remedy:   "nothing: the next absorption puts it into quarantine. Find the program that wrote it",
	},
	scan.Version: {
		severity: Error,
		means:    "a program with another version of mpmetrics shares the directory; its counts are missing here",
		remedy:   "look with the mpmetrics-inspect of that version, and give both programs the same; leave the file alone",
	},
	scan.ByteOrder: {
		severity: Error,
		means:    "it comes from a machine of another kind; its counts are missing here",
		remedy:   "do not share the directory between machines; scrape each, and sum in Prometheus",
	},
	scan.Limit: {
		severity: Error,
		means:    "it is above the limits of every reader; its counts are missing from every scrape",
		remedy:   "fewer series in that process: mpmetrics-inspect analyze lists the large families",
	},
	scan.Copy: {
		severity: Warning,
		means:    "it is a copy of a file, and not counted, since that would count twice",
		remedy:   "remove the copy",
	},
	scan.Refused: {
		severity: Error,
		means:    "it is not safe to read; if it is a process's file, its counts are missing",
		remedy:   "run all processes as one user, or remove the file if no process owns it",
	},
	scan.Returned: {
		severity: Warning,
		means:    "its process was absorbed long ago; it came back from a backup and is not counted twice",
		remedy:   "nothing: the next absorption puts it into quarantine",
	},
	scan.Boot: {
		severity: Error,
		means:    "it was written before the last start of the machine and may lack its last seconds",
		remedy:   "mpmetrics-inspect gc, or the next absorption, puts it aside; totals restart then",
	},
	scan.Busy: {
		severity: Error,
		means:    "it changed during every try; this scrape has no cumulative metrics",
		remedy:   "passes; report it if it does not",
	},
	scan.IO: {
		severity: Error,
		means:    "an error of the system; scrapes have no cumulative metrics until the error ends",
		remedy:   "see the error: permissions, descriptors (ulimit -n), the disk",
	},
	scan.Deadline: {
		severity: Error,
		means:    "reading takes longer than a scrape may; scrapes have no cumulative metrics",
		remedy:   "the first scrapes of a large directory: passes. Otherwise mpmetrics-inspect gc, and fewer series",
	},
	scan.Memory: {
		severity: Error,
		means:    "there are more series than a reader keeps; scrapes have no cumulative metrics",
		remedy:   "fewer series: mpmetrics-inspect analyze lists the large families",
	},
	scan.Gone: {
		severity: Error,
		means:    "the directory was removed under living processes",
		remedy:   "passes within 10 s: they make it again",
	},
}

// problemOf is a problem with a file.
func problemOf(subject string, err error) Problem {
	r := scan.ReasonOf(err)
	a := advices[r]
	return Problem{Severity: a.severity, Subject: subject, Reason: string(r), What: Escape(err.Error()), Means: a.means, Remedy: a.remedy}
}

// problems collects the problems of the reading.
func (s *Survey) problems() {
	named := map[string]bool{}
	for _, p := range s.Processes {
		if p.Err != nil {
			named[p.Name] = true
			s.Problems = append(s.Problems, problemOf(Escape(p.Name), p.Err))
		}
		if p.State == Locked {
			s.Problems = append(s.Problems, p.lockedBy())
		}
		if p.State == Gone {
			s.Problems = append(s.Problems, Problem{
				Severity: Error, Subject: Escape(p.Name), Reason: "removed", What: "the file was removed and not absorbed",
				Means: "a living process makes it again within a second; the counts of a dead one are lost", Remedy: "do not remove files of processes: absorption does",
			})
		}
	}
	if s.Err != nil && !aboutFile(s.Err, named) {
		s.Problems = append(s.Problems, s.whole())
	}
	for _, f := range s.Families {
		s.Problems = append(s.Problems, problemsWith(f.Conflicts)...)
	}
	for _, f := range s.Quarantine {
		s.Problems = append(s.Problems, quarantineProblem(f))
	}
}

// aboutFile reports whether an error is about a file in named.
func aboutFile(err error, named map[string]bool) bool {
	path, ok := errorPath(err)
	return ok && named[filepath.Base(path)]
}

// whole is the problem of an incomplete reading.
func (s *Survey) whole() Problem {
	p := problemOf(s.Directory, s.Err)
	path, _ := errorPath(s.Err)
	switch {
	case errors.Is(s.Err, archive.ErrElsewhere):
		p.Reason, p.Subject = "elsewhere", s.Archive.Path
		p.Means = "the archive is not in the configured directory; no cumulative metrics until both agree"
		p.Remedy = "set MPMETRICS_ARCHIVE_DIR to the same directory in all processes, or mount its disk"
	case filepath.Base(path) == layout.ArchiveName:
		p.Subject = path
		p.Means = "the archive cannot be read; scrapes have no cumulative metrics"
		switch scan.ReasonOf(s.Err) {
		case scan.Damaged, scan.Foreign:
			p.Remedy = "mpmetrics-inspect gc, or the next absorption, puts the archive into quarantine; totals restart then. If you have a copy, put the copy back before, while no process runs"
		case scan.Version:
			p.Remedy = "a program of a newer version wrote the archive: update the other programs"
		}
	case scan.ReasonOf(s.Err) == scan.Refused:
		p.Subject, p.Means, p.Remedy = s.Directory, "the directory is not safe to use: every process counts in memory, and scrapes have no cumulative metrics", "the error says how"
	}
	return p
}

// problemsWith are the problems of conflicts: one for all processes with the same definition.
func problemsWith(conflicts []Conflict) []Problem {
	type opinion struct {
		reason merge.Reason
		theirs string
	}
	others := map[opinion]int{}
	var first []Conflict
	for _, c := range conflicts {
		o := opinion{c.Reason, c.Theirs}
		if _, known := others[o]; !known {
			first = append(first, c)
			others[o] = -1
		}
		others[o]++
	}
	problems := make([]Problem, len(first))
	for i, c := range first {
		problems[i] = problemWith(c, others[opinion{c.Reason, c.Theirs}])
	}
	return problems
}

// problemWith is the problem of a conflict, with the number of further processes in the same
// conflict.
func problemWith(c Conflict, others int) Problem {
	who, says := Escape(c.Who()), "says"
	if others > 0 {
		who, says = who+" and "+counted(others, "other"), "say"
	}
	p := Problem{Severity: Warning, Subject: Escape(c.Family), Reason: string(c.Reason)}
	p.What = fmt.Sprintf("%s: %s %s %q, the newest process %q", c.Reason, who, says, c.Theirs, c.Ours)
	p.Remedy = "run one version of the program, or give one of the two another name"
	switch c.Reason {
	case merge.HelpConflict:
		p.Means = "values are merged; the newest text is shown"
	case merge.BucketsConflict:
		p.Means = "values are merged in the shared buckets: coarser, and exact"
	case merge.LabelsConflict:
		p.Means = "series with both sets of labels are shown"
	case merge.SuffixConflict:
		p.What = fmt.Sprintf("%s: the %s of %s shares the name of a sample with a newer family", c.Reason, c.Theirs, who)
	case merge.ModeConflict:
		p.Means = "values are merged by the newest mode"
	}
	if c.LeftOut {
		p.Severity, p.Means = Error, "these values are not merged"
	}
	return p
}

// counted is a number with its noun.
func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Worst is the worst severity among problems.
func Worst(problems []Problem) Severity {
	order := []Severity{OK, Warning, Error}
	worst := OK
	for _, p := range problems {
		if slices.Index(order, p.Severity) > slices.Index(order, worst) {
			worst = p.Severity
		}
	}
	return worst
}

// Problems are the problems with the file of a process.
func (p *Process) Problems() []Problem {
	switch {
	case p.State == Locked:
		return []Problem{p.lockedBy()}
	case p.Err == nil:
		return nil
	}
	return []Problem{problemOf(Escape(p.Name), p.Err)}
}
