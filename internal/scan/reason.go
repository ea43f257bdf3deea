package scan

import (
	"errors"
	"io/fs"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/reader"
)

// Reason says why a file is skipped.
type Reason string

// The reasons. Busy and the reasons after Busy are transient: they say nothing about the file, and
// the next scan may succeed. All other reasons are proven.
const (
	Damaged   Reason = "damaged"
	Foreign   Reason = "foreign"
	Version   Reason = "version"
	ByteOrder Reason = "byte_order"
	Limit     Reason = "limit"
	Copy      Reason = "copy"
	Refused   Reason = "refused"
	Returned  Reason = "returned"
	Boot      Reason = "boot"
	Busy      Reason = "busy"
	IO        Reason = "io"
	Deadline  Reason = "deadline"
	Memory    Reason = "memory"
	Gone      Reason = "gone"
)

// Reasons are all reasons.
var Reasons = []Reason{Damaged, Foreign, Version, ByteOrder, Limit, Copy, Refused, Returned, Boot, Busy, IO, Deadline, Memory, Gone}

// ReasonOf returns the reason of a reading error.
func ReasonOf(err error) Reason {
	for _, r := range []struct {
		is     error
		reason Reason
	}{
		{layout.ErrVersion, Version},
		{layout.ErrByteOrder, ByteOrder},
		{layout.ErrForeign, Foreign},
		{layout.ErrDamaged, Damaged},
		{layout.ErrLimit, Limit},
		{reader.ErrCopy, Copy},
		{ErrReturned, Returned},
		{ErrBoot, Boot},
		{ErrDeadline, Deadline},
		{ErrMemory, Memory},
		{ErrGone, Gone},
		{ErrChanging, Busy},
		{reader.ErrReplaced, Busy},
		{reader.ErrBusy, Busy},
		{directory.ErrRefused, Refused},
	} {
		if errors.Is(err, r.is) {
			return r.reason
		}
	}
	return IO
}

// Transient reports whether an error is transient, as opposed to proven.
func Transient(err error) bool {
	return ReasonOf(err).Transient()
}

// Transient reports whether a reason is transient, as opposed to proven.
func (r Reason) Transient() bool {
	switch r {
	case Busy, IO, Deadline, Memory, Gone:
		return true
	}
	return false
}

// Vanished reports whether a file is missing. A missing file is transient too.
func Vanished(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// proofDelay is the time between two readings that prove damage. The second reading finds a file
// complete that was being replaced during the first.
const proofDelay = time.Millisecond

// Prove calls read, and calls read again after an error that is not Transient. Two readings with
// the same result are proof.
func Prove(read func() error) error {
	err := read()
	if err == nil || Transient(err) {
		return err
	}
	time.Sleep(proofDelay)
	return read()
}
