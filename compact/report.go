package compact

import (
	"fmt"
	"strings"
	"time"
)

// Report is the result of an absorption.
type Report struct {
	Absorbed    int        // processes that moved into the archive
	Removed     int        // files of processes that were in the archive before
	Quarantined []LeftFile // files that were put aside
	Left        []LeftFile // dead files that stay for now
	Temporary   int        // files of processes that were killed while making the file, removed

	Unabsorbed int    // sums that were lost with their process because they are not finite
	Expired    int    // processes with dropped All samples
	Forgotten  int    // series that were dropped from the archive
	Pruned     int    // ids of absorbed processes that were dropped from the archive
	Aside      string // why the former archive was put aside; empty: the archive was good

	Series  int           // in the archive
	Bytes   int64         // of the archive
	Batches int           // archives that were written
	Took    time.Duration // time of the work, without the pauses between batches
}

// LeftFile is a file without an absorption, and the reason.
type LeftFile struct {
	Name   string // without the directory
	Reason string // one word, as in the label of mpmetrics_files_skipped
	Err    error  // may be nil
}

// String returns one line with all counts that are not zero.
func (r Report) String() string {
	parts := []string{fmt.Sprintf("%d processes absorbed", r.Absorbed)}
	for _, p := range []struct {
		n    int
		what string
	}{
		{r.Removed, "files of absorbed processes removed"},
		{len(r.Quarantined), "files put aside"},
		{len(r.Left), "files left"},
		{r.Temporary, "temporary files removed"},
		{r.Unabsorbed, "sums dropped that are not finite"},
		{r.Expired, "processes with dropped samples"},
		{r.Forgotten, "series forgotten"},
		{r.Pruned, "ids pruned"},
	} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	if r.Aside != "" {
		parts = append(parts, "archive put aside: "+r.Aside)
	}
	return strings.Join(parts, ", ")
}
