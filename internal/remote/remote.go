// Package remote is the contract of a server where the processes of several machines publish. A
// server does for several machines the work of a directory on one machine. Package publisher writes
// to a server, and package serverview reads from a server.
//
// Every process has a partition on the server: a header, the definitions of its families, and its
// series and their values in blocks (package layout draws the blocks). A process counts as live
// while it updates its partition within a time to live. A late process may be dead, stopped, or cut
// off, and no reader can tell. So an absorbed process may come back:
//
//  1. The server answers an update: the partition is absorbed.
//  2. The process begins another partition.
//  3. The process declares its absorbed values as the base of the new partition.
//  4. Readers subtract the base from the values.
package remote

import (
	"context"
	"errors"
	"maps"
	"strconv"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/archive"
	"github.com/mpmetrics/mpmetrics/internal/layout"
)

var (
	// ErrUnreachable is wrapped by the errors of a server that does not answer, answers late, or
	// refuses. The state of the server is unknown then.
	ErrUnreachable = errors.New("server cannot be used")

	// ErrChanged is returned by Replace when the archive or a partition has changed since the
	// reading. Replace has done nothing then.
	ErrChanged = errors.New("changed meanwhile")
)

// Server holds the partitions and the archive of one namespace. The methods may run in parallel,
// and return when their context ends.
type Server interface {
	// Update applies changes of partitions, in order. Each change is atomic. After an error some
	// changes may be applied and some not; applying a change again is harmless.
	Update(ctx context.Context, updates []Update) ([]Reply, error)

	// Look lists the partitions, and reads the values of some partitions too.
	Look(ctx context.Context, values []layout.ID) (*State, error)

	// Read reads partitions, each at one instant. The Content of a missing partition has no header.
	Read(ctx context.Context, reads []Read) ([]Content, error)

	// Archive reads the archive.
	Archive(ctx context.Context) (*Archive, error)

	// Replace changes the archive and takes the absorbed partitions out, in one atomic step.
	// Otherwise Replace returns ErrChanged and does nothing. The server keeps absorbed partitions
	// for a while, for processes that come back.
	Replace(ctx context.Context, r Replacement) error

	// Discard takes an unreadable partition out, and keeps the partition for a while as evidence. A
	// partition stays if its process is live, or has updated the partition since the reading.
	Discard(ctx context.Context, p Partition, reason string) error

	// Close ends all connections.
	Close()
}

// Update is a change of one partition. Values are absolute, and so a late or repeated change is
// harmless.
type Update struct {
	ID layout.ID

	// Seq grows with each update of a process. The server ignores an update whose Seq is not higher
	// than the last written Seq.
	Seq uint64
	// After is the last Seq that the server has answered for this partition. A server with a lower
	// Seq has lost an update.
	After uint64
	// Hashes says which hashes have to exist: families, series, values. A server that lacks memory
	// may drop a hash.
	Hashes [3]bool

	// Epoch is the epoch of the server, as far as the process knows. Empty: unknown. The archive of
	// a server with another epoch does not have the bases of the process.
	Epoch string

	// Begin makes the partition, if the partition is missing or was put aside. nil: the partition
	// has to exist.
	Begin *layout.Header
	// Base is the absorbed partition with the bases, and Absorption is the content of its field in
	// the archive. The server writes nothing if the archive says otherwise: either the server went
	// back to a state before the absorption, or this update is late. Bases without the absorption
	// would be subtracted from nothing. Zero: no base, or the archive does not tell.
	Base       layout.ID
	Absorption string
	Based      bool // the partition has bases
	// Instead is a later partition of the process, for the server to delete: the server went back,
	// and the process returned to this partition. Zero: none.
	Instead layout.ID
	// Former is the partition of the process before this partition. The process shows its All
	// samples again, and so the server deletes the copies in the archive. Zero: none.
	Former layout.ID

	// Live is the time to live of the process from now on. 0: the process ends.
	Live time.Duration

	Families map[string]string // family records, by number
	Series   map[string]string // blocks, by number
	Values   map[string]string // by number of the block, or by prefix and name: see MirrorField
	Remove   []string          // of Values
}

// Status is the result of an update.
type Status uint8

// The statuses.
const (
	Written  Status = iota + 1
	Late            // this update, or a later update, was written before
	Absorbed        // the archive holds the partition
	Lost            // the server has lost data of the partition
)

// Reply is the answer of a server to an update.
type Reply struct {
	Status Status
	Epoch  string // of the server; changes when the server loses the archive
	Seq    uint64 // the last written Seq
}

// State is the content of a namespace.
type State struct {
	Epoch      string // empty: no process has published anything
	Generation string // of the archive
	Stable     bool   // the archive was the same before and after the reading of the values
	Now        time.Time
	Partitions []Partition
	Values     map[layout.ID]map[string]string
}

// Partition is an entry of the list of partitions.
type Partition struct {
	ID   layout.ID
	Live bool
	Seq  uint64
}

// Read says which part of a partition to read. The header is always read.
type Read struct {
	ID     layout.ID
	Whole  bool     // everything
	Blocks []string // if not Whole: families, all values and these blocks of series; nil: nothing
}

// Content is the content of a partition.
type Content struct {
	Header     string // as layout.Header.Encode makes it; empty: the partition is missing
	Start      int64  // of the partition, by the server's clock, Unix nanoseconds
	Absorption string // AbsorbedField of the archive; empty: the archive lacks the partition
	Taken      bool   // absorbed or put aside: the server keeps the partition for its process alone
	Stale      bool   // the archive with the bases is lost: the process begins another partition
	Lacks      bool   // a hash was dropped since the last update
	Seq        uint64
	Families   map[string]string
	Series     map[string]string
	Values     map[string]string
}

// Archive is the content of the archive.
type Archive struct {
	Generation string            // changes each time the archive is written
	Fields     map[string]string // as archive.Fields
}

// Replacement is an absorption.
type Replacement struct {
	Epoch      string
	Generation string // of the archive that the absorption is based on
	Next       string // generation that the absorption makes
	Set        map[string]string
	Remove     []string
	Keep       time.Duration // for which the server keeps the absorbed partitions
	Anew       string        // next epoch after a damaged archive, else empty
	Absorbed   []Partition   // each as it was read; none may be live
}

// Prefixes of fields in Values, before the name of a family. The fields of blocks have no prefix: a
// field is the number of a block.
const (
	MirrorField   = "m" // values of a foreign collector, as package mirror encodes them
	BaseField     = "b" // base of a foreign collector, in the same encoding
	ExemplarField = "e" // exemplars
)

// Retention is the time for which the server keeps an absorbed partition for its process. A process
// that was stopped for longer takes its last answered values for the absorbed values.
const Retention = time.Hour

// Number returns the field of a block or a family for a number.
func Number(n int) string { return strconv.Itoa(n) }

// IsBlock reports whether a field of Values belongs to a block.
func IsBlock(field string) bool { return field != "" && field[0] <= '9' }

// Union returns the fields of both hashes. For a field in both hashes, b decides.
func Union(a, b map[string]string) map[string]string {
	all := make(map[string]string, len(a)+len(b))
	maps.Copy(all, a)
	maps.Copy(all, b)
	return all
}

// SamplesField returns the field of the archive with the All samples of a partition.
func SamplesField(id layout.ID) string { return archive.DeadField(id) }

// AbsorbedField returns the field of the archive for an absorbed partition.
func AbsorbedField(id layout.ID) string { return archive.AbsorbedField(id) }
