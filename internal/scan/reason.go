package scan

import (
	"errors"
	"io/fs"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/reader"
)

// Reason says why a file is not read.
type Reason string

// The reasons. Those from Busy on say nothing about a file itself: the next scan
// may well read it, or everything. The others are proven.
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

// ReasonOf sorts an error of reading a file.
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

// Transient reports whether an error says nothing about the file itself.
func Transient(err error) bool {
	return ReasonOf(err).Transient()
}

// Transient reports whether a reason says nothing about a file itself.
func (r Reason) Transient() bool {
	switch r {
	case Busy, IO, Deadline, Memory, Gone:
		return true
	}
	return false
}

// Vanished reports whether a file is gone. That is transient too.
func Vanished(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// proofDelay is the moment between two readings that prove damage: a file that
// was being replaced is read whole by the second.
const proofDelay = time.Millisecond

// Prove calls read, and once more when its error is not Transient: what two
// readings a moment apart find is proof.
func Prove(read func() error) error {
	err := read()
	if err == nil || Transient(err) {
		return err
	}
	time.Sleep(proofDelay)
	return read()
}
