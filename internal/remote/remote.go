// Package remote is the contract of a server where the processes of several machines
// publish: what a directory is on one machine. Package publisher writes to a server, and
// package serverview reads it.
//
// Every process has a record there, its partition: a header, the definitions of its
// families, and its series and their values in blocks (package layout draws them). A
// process is alive as long as it updates its partition within a time to live. A late
// process may be dead, or stopped, or cut off: no reader can know. So a process may be
// absorbed and come back: it then finds its partition absorbed, begins another partition,
// and gives its values in the first as the base that is taken off its values.
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
	// ErrUnreachable is wrapped by errors of a server that does not answer, or not in
	// time, or refuses: what is there is not known.
	ErrUnreachable = errors.New("server cannot be used")

	// ErrChanged is returned by Replace when something else changed what it is based
	// on. Nothing was done.
	ErrChanged = errors.New("changed meanwhile")
)

// Server holds partitions and the archive of one namespace. Its methods may run in
// parallel, and return when their context ends.
type Server interface {
	// Update writes changes of partitions, in order, each at once or not at all. An
	// error means that some may have been written and others not; written again they
	// do no harm.
	Update(ctx context.Context, updates []Update) ([]Reply, error)

	// Look lists the partitions, and reads the values of some of them on the way.
	Look(ctx context.Context, values []layout.ID) (*State, error)

	// Read reads partitions, each at one instant. One that is not there has no header.
	Read(ctx context.Context, reads []Read) ([]Content, error)

	// Archive reads the archive.
	Archive(ctx context.Context) (*Archive, error)

	// Replace changes the archive and takes the partitions out that it absorbs, all at
	// once: or returns ErrChanged, and nothing has happened. Absorbed partitions stay
	// for a while for those who come back.
	Replace(ctx context.Context, r Replacement) error

	// Discard takes a partition out that cannot be read, and keeps it for a while for
	// who wants to know why. One that is alive, or was updated since it was read, stays.
	Discard(ctx context.Context, p Partition, reason string) error

	// Close ends all connections.
	Close()
}

// Update is a change of one partition. Values are absolute: a late or a second one
// does no harm.
type Update struct {
	ID layout.ID

	// Seq is higher with each update of a process. One that is not higher than the
	// last that was written is not written any more.
	Seq uint64
	// After is the Seq that the server has answered last for this partition. One that
	// does not know it any more has lost something.
	After uint64
	// Hashes says which of families, series and values have to be there: a server may
	// drop one of them to get memory.
	Hashes [3]bool

	// Epoch is the server's, as the process knows it; empty: it does not. A server of
	// another one has no archive with the bases of the process.
	Epoch string

	// Begin makes the partition if it is not there, or was put aside. nil: it has to be.
	Begin *layout.Header
	// Base is the partition that has the bases, and Absorption what the archive says of it
	// then. If it says something else the server has gone back to before it was absorbed,
	// or this is a late update from before that: bases that stand against nothing are not
	// written. Zero: none, or nobody knows any more.
	Base       layout.ID
	Absorption string
	Based      bool // there are bases
	// Instead is a partition that the process began after this one, and that is to be
	// forgotten: it has gone back. Zero: none.
	Instead layout.ID
	// Former is the partition that the process had before, whose All samples are its
	// own again. Zero: none.
	Former layout.ID

	// Live is how long the process is alive from now on. 0: it ends.
	Live time.Duration

	Families map[string]string // family records, by number
	Series   map[string]string // blocks, by number
	Values   map[string]string // likewise, and what is mirrored: see Field
	Remove   []string          // of Values
}

// Status says what became of an update.
type Status uint8

// The statuses.
const (
	Written  Status = iota + 1
	Late            // a later one was written before, or this very one
	Absorbed        // the archive holds the partition
	Lost            // the server knows less than it did
)

// Reply is what a server says to an update.
type Reply struct {
	Status Status
	Epoch  string // of the server: another one when it has lost what it had absorbed
	Seq    uint64 // that was written last
}

// State is what there is.
type State struct {
	Epoch      string // empty: nobody has published anything
	Generation string // of the archive
	Stable     bool   // the archive was the same before and behind the values
	Now        time.Time
	Partitions []Partition
	Values     map[layout.ID]map[string]string
}

// Partition is one that was listed.
type Partition struct {
	ID   layout.ID
	Live bool
	Seq  uint64
}

// Read says what to read of a partition beside its header.
type Read struct {
	ID     layout.ID
	Whole  bool     // everything
	Blocks []string // else the definitions of its families, these blocks of series, and all values; nil: nothing
}

// Content is what was read.
type Content struct {
	Header     string // as layout.Header.Encode; empty: it is not there
	Start      int64  // when it began, by the server's clock, Unix nanoseconds
	Absorption string // what the archive has in AbsorbedField; empty: it does not hold it
	Taken      bool   // it was absorbed or put aside: it is kept for its process alone
	Stale      bool   // its bases were in an archive that is lost: its process begins another one
	Lacks      bool   // one of its hashes was dropped since it was updated
	Seq        uint64
	Families   map[string]string
	Series     map[string]string
	Values     map[string]string
}

// Archive is the archive as it was read.
type Archive struct {
	Generation string            // another one each time it is written
	Fields     map[string]string // as archive.Fields
}

// Replacement is an absorption.
type Replacement struct {
	Epoch      string
	Generation string // that it is based on
	Next       string // that it makes
	Set        map[string]string
	Remove     []string
	Keep       time.Duration // how long what is taken out is kept
	Anew       string        // unless empty: the archive in place is damaged. A copy is kept, too, and this is the epoch from now on
	Absorbed   []Partition   // each as it was read; it must not be alive
}

// Prefixes of the fields of Values beside blocks, whose fields are their numbers.
// Behind each is the name of a family.
const (
	MirrorField   = "m" // of a collector that is not ours, as package mirror encodes it
	BaseField     = "b" // what the process had in it in an earlier partition, likewise
	ExemplarField = "e" // exemplars
)

// Retention is how long a partition that was absorbed is kept for its process. A process
// that was stopped for longer takes its last answered values for the absorbed ones.
const Retention = time.Hour

// Number is the field of a block, or of a family, by its number.
func Number(n int) string { return strconv.Itoa(n) }

// IsBlock reports whether a field of Values is that of a block.
func IsBlock(field string) bool { return field != "" && field[0] <= '9' }

// Union has everything of two hashes, and of fields in both the values of the second.
func Union(a, b map[string]string) map[string]string {
	all := make(map[string]string, len(a)+len(b))
	maps.Copy(all, a)
	maps.Copy(all, b)
	return all
}

// SamplesField is the field of the archive with the All samples of a partition.
func SamplesField(id layout.ID) string { return archive.DeadField(id) }

// AbsorbedField is the field that an archive has if it holds a partition.
func AbsorbedField(id layout.ID) string { return archive.AbsorbedField(id) }
