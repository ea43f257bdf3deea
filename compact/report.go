package compact

import (
	"fmt"
	"strings"
	"time"
)

// Report says what an absorption did.
type Report struct {
	Absorbed    int        // processes whose values are in the archive now
	Removed     int        // files of processes that the archive held already
	Quarantined []LeftFile // files that were put aside
	Left        []LeftFile // dead files that stay for now
	Temporary   int        // files of processes that were killed while they made them, removed

	Unabsorbed int    // sums that were not finite and are gone with their process
	Expired    int    // processes whose All samples left
	Forgotten  int    // series that left
	Pruned     int    // ids of absorbed processes that left
	Aside      string // why the archive before was put aside; empty: it was not

	Series  int           // in the archive
	Bytes   int64         // of the archive
	Batches int           // archives that were written
	Took    time.Duration // work alone, without the pauses between batches
}

// LeftFile is a file that was not absorbed, and why.
type LeftFile struct {
	Name   string
	Reason string
	Err    error // may be nil
}

func (r Report) String() string {
	parts := []string{fmt.Sprintf("%d processes absorbed", r.Absorbed)}
	for _, p := range []struct {
		n    int
		what string
	}{
		{r.Removed, "files removed that were absorbed before"},
		{len(r.Quarantined), "files put aside"},
		{len(r.Left), "files left"},
		{r.Temporary, "temporary files removed"},
		{r.Unabsorbed, "sums left out that are not finite"},
		{r.Expired, "processes lost their samples to their age"},
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
