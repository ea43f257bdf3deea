package store

import (
	"log/slog"
	"maps"
)

// backend is the place where the values of a store are kept. Instruments know none:
// they count in cells, and which cells these are is the backend's business. The
// comments below are laws: whoever writes another backend keeps to them, and the store
// counts on it.
//
// The store calls open, then start, and close at last. All else it may call at any time,
// from any goroutine, in front of open and behind close too, unless it says otherwise.
//
// Lock order: the lock of a vec, then the store's mu, then those of the backend, then
// that of an instrument. A backend takes no lock of the store, and calls none of its
// methods, while it holds a lock that enter or depart wants.
type backend interface {
	// shared reports whether others ever see what is kept. It is the same always.
	// Where it is not, nothing is mirrored, there is no limit, nobody looks for
	// deleted series, instruments keep their values themselves, and of what follows only
	// open and degraded are called.
	shared() bool

	// where says in a line of the log which place it is, without any secret.
	where() slog.Attr

	// distant reports whether open may wait for a network. The default store, which may be
	// opened by an update, is then opened in the background.
	distant() bool

	// open makes what is kept visible to others. It may wait, for a disk or a network.
	// When it returns an error, values are kept all the same, degraded returns the error
	// from then on, and the background work tries again. But a store that is not to go on
	// so never calls start, nor close: open leaves nothing behind with an error.
	//
	// It is called again behind forked.
	open() error

	// start begins the background work, which ends with close. What takes a system call,
	// or waits, is done there, in open, flush, or close.
	start()

	// enter takes in a new series, which counts against the limit already. At return its
	// instrument counts, in cells of the backend by use, or on the heap by keep. earlier,
	// unless nil, is a deleted series with the same label values that others may still
	// see. Nobody may ever see both, or the earlier one where the new one was seen before.
	//
	// The store's mu is held, and the write lock of a vec, where every With of that vec
	// waits: no system call, no wait, no lock that is held over either, no call of
	// somebody else's code, a log handler's among it.
	enter(i instrument, earlier *series)

	// depart notes that a series was deleted: soon others see it no more. series.gone says
	// so already. It is called once for a series, which may be one beyond the limit that
	// never entered, and not for one that enter was given as the earlier one. The program
	// may go on using the instrument. The locks and the prohibitions are those of enter.
	depart(s *series)

	// shows reports whether others see a series, or will without anything more that could
	// fail: otherwise they are told no exemplars of it. It takes no lock.
	shows(s *series) bool

	// ready reports whether a flush may come to anything: if not, no collector is asked.
	// It takes no lock that is held over a system call.
	ready() bool

	// stage takes what has changed in the mirror since the last stage, for the next flush.
	// It is kept, also to begin anew elsewhere: nothing is given twice, but all of it
	// behind forked. Nobody changes the values or the maps afterwards. There is one stage
	// or flush of the store at a time.
	stage(changed mirrored)

	// flush makes visible to others, before it returns, all that is staged and every value
	// as it was when flush was called. After an error, which the store logs and shows,
	// nothing is forgotten: the next flush tries again. A scrape of this process waits for
	// it, so what it waits for has a bound. It may run in parallel with close.
	flush() error

	// forked gives up what belongs to the process from which this one was forked: from
	// its return nothing that is done here reaches it, and nobody sees any series. They
	// wait for open, where they are what the instruments have counted since they forsook
	// the cells of the parent; until then the background work touches none. What threads
	// of the parent were at is not gone on with here, and their locks stay locked.
	forked()

	// degraded returns why others do not see all that they should, or nil.
	degraded() error

	// close makes visible what is not yet, ends the background work, and leaves the
	// place: cumulative values stay there, live gauges leave. Instruments go on counting
	// on the heap, to no effect. The error says what nobody will see. It is called once.
	close() error
}

// mirrored is what collectors show, and exemplars, by name of the family, as package
// mirror encodes them. In a change nil stands for what is there no more.
type mirrored struct {
	families  map[string][]byte
	exemplars map[string][]byte
}

// empty reports whether there is nothing, or no change.
func (m mirrored) empty() bool { return len(m.families)+len(m.exemplars) == 0 }

// add takes in a change. One that follows another makes one change of both.
func (m *mirrored) add(changed mirrored) {
	if m.families == nil {
		m.families, m.exemplars = map[string][]byte{}, map[string][]byte{}
	}
	maps.Copy(m.families, changed.families)
	maps.Copy(m.exemplars, changed.exemplars)
}

// settle makes what is there of a change to nothing.
func (m *mirrored) settle() {
	removed := func(_ string, value []byte) bool { return value == nil }
	maps.DeleteFunc(m.families, removed)
	maps.DeleteFunc(m.exemplars, removed)
}

// memory is the backend of a process that keeps its metrics to itself.
type memory struct {
	instead error // why it is in the place of the one that was configured; usually nil
}

func (memory) shared() bool                  { return false }
func (memory) where() slog.Attr              { return slog.String("location", memoryLocation) }
func (m memory) open() error                 { return m.instead }
func (memory) distant() bool                 { return false }
func (memory) start()                        {}
func (memory) enter(i instrument, _ *series) { i.keep() }
func (memory) depart(*series)                {}
func (memory) shows(*series) bool            { return false }
func (memory) ready() bool                   { return false }
func (memory) stage(mirrored)                {}
func (memory) flush() error                  { return nil }
func (memory) forked()                       {}
func (m memory) degraded() error             { return m.instead }
func (memory) close() error                  { return nil }
