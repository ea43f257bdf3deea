package archive

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/boot"
	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// maxStep is how far the wall clock may move against the uptime. A step by a correction of some
// seconds is usual; a step of a minute moves no limit by much.
const maxStep = time.Minute

// Reading is one look at both clocks of a machine. Only the wall clock can be set. The uptime
// belongs to one boot.
type Reading struct {
	BootID string
	Uptime time.Duration // 0: this system has no such clock
	Wall   time.Time
}

// Steady returns how long both clocks have agreed, and the reading since when: before, or r if the
// wall clock was set after before. Without an uptime Steady believes the wall clock.
func (r Reading) Steady(before Reading) (time.Duration, Reading) {
	if r.Uptime == 0 {
		return math.MaxInt64, r
	}
	passed := r.Uptime - before.Uptime
	step := r.Wall.Sub(before.Wall) - passed
	if boot.Differ(r.BootID, before.BootID) || passed < 0 || step.Abs() > maxStep {
		return 0, r
	}
	return passed, before
}

const readingFormat = published + "clocks %s %020d %020d\n"

// Steady is Reading.Steady with the reading in compact.lock of a directory, and keeps the reading
// there for the next absorption. The caller has the lock. Before the first archive compact.lock has
// to stay empty: Steady returns 0.
func Steady(dir string, r Reading) time.Duration {
	if !isPublished(dir) {
		return 0
	}
	path := filepath.Join(dir, layout.LockName)
	before, ours := readReading(path)
	if !ours {
		return 0
	}
	steady, since := r.Steady(before)
	if since != before && r.Uptime > 0 {
		// After an error the next absorption begins again: the clocks have not agreed for long.
		_ = directory.Overwrite(path, fmt.Sprintf(readingFormat, since.BootID, since.Uptime, since.Wall.UnixNano()))
	}
	return steady
}

// readReading returns the reading in a file, the zero Reading if there is none. ours reports whether
// the file begins with the mark, and has no other name: a link to the file of a process must not be
// written to.
func readReading(path string) (r Reading, ours bool) {
	f, st, err := directory.OpenFile(path)
	if err != nil || st.Links > 1 {
		return r, false
	}
	defer f.Close()
	b := make([]byte, min(st.Size, layout.PageSize))
	if _, err := f.ReadAt(b, 0); err != nil || !strings.HasPrefix(string(b), published) {
		return r, false
	}
	var id string
	var uptime, wall int64
	if _, err := fmt.Sscanf(string(b), readingFormat, &id, &uptime, &wall); err != nil {
		return r, true
	}
	return Reading{BootID: id, Uptime: time.Duration(uptime), Wall: time.Unix(0, wall)}, true
}
