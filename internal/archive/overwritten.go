package archive

import (
	"math"
	"os"
	"time"
)

// seal gives a written archive a modification time of a whole second. No process writes to an
// archive afterwards, so any other modification time means that a foreign program did.
func seal(path string) error {
	now := time.Now().Truncate(time.Second)
	return os.Chtimes(path, now, now)
}

// Overwritten returns a time in Unix nanoseconds after which no write can have damaged the archive:
// the last write of a foreign program is not later. Without such a write, or without an archive,
// Overwritten returns math.MaxInt64: the damage may have come at any time.
func (l *Locked) Overwritten() int64 {
	if l == nil {
		return math.MaxInt64
	}
	st, err := l.file.Stat()
	if err != nil || st.Modified%int64(time.Second) == 0 {
		return math.MaxInt64
	}
	return max(st.Modified, st.Changed)
}
