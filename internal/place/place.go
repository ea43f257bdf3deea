// Package place says what a place for the values of a store has to do, and holds the
// place that is the memory of the process. Package owner is the place that is a file,
// package publisher the place that is a server.
package place

import (
	"context"
	"log/slog"
	"maps"

	"github.com/mpmetrics/mpmetrics/internal/instrument"
)

// Place keeps the values of a store. Instruments know no place: instruments count in
// cells, and the place decides which cells. The comments below are laws: each place keeps
// them, the store relies on them, and package storetest checks them.
//
// The store calls Open, then Start, and Close at last. All other methods may be called at
// any time, from any goroutine, also before Open and after Close, unless their comment
// says no.
//
// # Lock order
//
// A goroutine takes locks along the arrows only. Locks of the upper row may be held over
// a transaction or a wait; locks of the lower row never are, nor over foreign code,
// because new series wait for them.
//
//	foreign.flushing ─► owner.maintaining ─► owner.mirroring ─► ownerfile.growing
//	                                                                │
//	                     ┌──────────────────────────────────────────┘
//	                     ▼
//	lock of a vec ─► catalog.mu ─► mu of the place ─► ownerfile.mu ─► instrument
//
// A place calls no method of the catalog while the place holds its mu.
type Place interface {
	// Shared reports whether other processes ever see the values. The answer never
	// changes. In a place that is not shared nothing is mirrored, there is no limit, no
	// sweep looks for deleted series, and of the other methods only Open and Degraded
	// are called.
	Shared() bool

	// Where names the place in a line of the log, without any secret.
	Where() slog.Attr

	// Distant reports whether Open may wait for a network. The default store, which an
	// update may open, then opens the place in the background.
	Distant() bool

	// Open makes the values visible to other processes. Open may wait, for a disk or for
	// a network until ctx ends. After an error values are kept all the same, Degraded
	// returns the error, and the background work tries again. A store that gives up after
	// an error calls neither Start nor Close: Open leaves nothing to clean up. A store that
	// closes and is not Ready calls Open once more, for a last try.
	Open(ctx context.Context) error

	// Start begins the background work, which ends with Close. A system call or a wait
	// happens there, in Open, in Flush, or in Close.
	Start()

	// Enter takes in a new series, which counts against the limit already. At return the
	// instrument counts, in cells of the place by Use or on the heap by Keep. An instrument whose
	// series was Beyond counts on the heap already. earlier,
	// unless nil, is a deleted series with the same label values that readers may still
	// see. No reader may ever see both, or the earlier series after the new series.
	//
	// The lock of the catalog is held, and the write lock of a vec, for which every With
	// of the vec waits: no system call, no wait, no lock that is held over either, no
	// foreign code, a log handler's included.
	Enter(i instrument.Instrument, earlier *instrument.Series)

	// Await waits until a series is published that has just entered, if the place can publish it
	// within milliseconds. The wait has a bound, and no series waits behind another's wait in vain.
	// The write lock of a vec is held, and no other lock.
	Await(s *instrument.Series)

	// Depart notes that a series was deleted: soon no reader sees the series. Series.Gone
	// says so already. Depart is called once for a series, also for a series beyond the
	// limit that never entered, and not for a series that Enter was given as the earlier
	// one. The program may go on using the instrument. The locks and the prohibitions are
	// those of Enter.
	Depart(s *instrument.Series)

	// Hand lets an instrument take over the cells of another instrument of the same series, with all
	// that was counted. Readers notice nothing, but that a share is a series again. The instrument
	// from counts on the heap afterwards, to no effect, and its series is gone. Hand returns false,
	// and changes nothing, if the place cannot do so now. The locks and the prohibitions are those
	// of Enter.
	Hand(from instrument.Instrument, to instrument.Heir) bool

	// Share is Hand after the deletion of a series: the series is a share from now on, which
	// readers add to the series of other processes.
	Share(from instrument.Instrument, to instrument.Heir) bool

	// Shows reports whether a series is published, or certain to be published. Exemplars
	// are written only for such series. Shows takes no lock.
	Shows(s *instrument.Series) bool

	// Ready reports whether a flush can succeed: if not, no collector is gathered.
	// Ready takes no lock that is held over a system call.
	Ready() bool

	// Stage takes the changes of the mirror since the last Stage, for the next Flush. The
	// place keeps the values, also to write them elsewhere later: no change is given
	// twice. No goroutine changes the values or the maps afterwards. One Stage or Flush
	// of a store runs at a time.
	Stage(changed Mirrored)

	// Flush makes visible to other processes, before it returns, all staged changes and
	// every value as of the call. After an error, which the store logs and shows, nothing
	// is forgotten: the next Flush tries again. A scrape of this process waits for Flush,
	// so each wait has a bound, and ends when ctx ends. Flush may run in parallel with
	// Close.
	Flush(ctx context.Context) error

	// Degraded returns why readers do not see all that they should, or nil.
	Degraded() error

	// Close makes visible what is not visible yet, ends the background work, and leaves
	// the place: cumulative values stay there, live gauges leave. Instruments go on
	// counting on the heap, to no effect. The error says what no reader will see. Close
	// is called once.
	Close() error
}

// Mirrored is what foreign collectors show, and exemplars: by name of the family, as
// package mirror encodes both. In a change nil stands for a value that is to be removed.
type Mirrored struct {
	Families  map[string][]byte
	Exemplars map[string][]byte
}

// Empty reports whether there is no value, or no change.
func (m Mirrored) Empty() bool { return len(m.Families)+len(m.Exemplars) == 0 }

// Add takes in a change. A change that follows another makes one change of both.
func (m *Mirrored) Add(changed Mirrored) {
	if m.Families == nil {
		m.Families, m.Exemplars = map[string][]byte{}, map[string][]byte{}
	}
	maps.Copy(m.Families, changed.Families)
	maps.Copy(m.Exemplars, changed.Exemplars)
}

// Settle drops the values that a change removed.
func (m *Mirrored) Settle() {
	removed := func(_ string, value []byte) bool { return value == nil }
	maps.DeleteFunc(m.Families, removed)
	maps.DeleteFunc(m.Exemplars, removed)
}
