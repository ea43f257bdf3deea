package instrument

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// Host takes the series of a Catalog in: the part of a place that a Catalog needs. The
// comments of package place say what both methods must not do.
type Host interface {
	// Shared reports whether other processes ever see the series.
	Shared() bool
	// Enter takes in a new series, and gives its instrument cells or the heap, or a series that was
	// Beyond. earlier, unless nil, is a deleted series with the same label values.
	Enter(i Instrument, earlier *Series)
	// Await waits a moment for a new series to be published, after Enter and without a lock of the
	// catalog.
	Await(s *Series)
	// Depart notes that a series was deleted.
	Depart(s *Series)
	// Hand lets an instrument take over the cells of another. Hand reports false if it cannot.
	Hand(from Instrument, to Heir) bool
	// Share is Hand for the share of a deleted series.
	Share(from Instrument, to Heir) bool
}

// Catalog lists the families and the series of one store, and keeps the series within a
// limit.
type Catalog struct {
	host Host
	most int64 // series that may be published

	// MostShares bounds the shares of deleted series: DefaultShares, less for tests.
	MostShares int

	exemplars ExemplarList // the instruments that have exemplars

	published atomic.Int64  // series that count against the limit
	dropped   atomic.Uint64 // series that found no place below the limit, since the last TakeDropped

	// mu comes after the lock of a vec, and before the locks of a place and of an
	// instrument: see package place.
	mu       sync.Mutex
	families []*Family
	born     uint64 // series of vecs made so far
	kept     kept
	left     bool // a series was found deleted since the last sweep
	closed   bool // the place was left: new series count on the heap, and no list has them
}

// NewCatalog makes an empty catalog that publishes at most so many series. Use must be
// called before the first family is added.
func NewCatalog(most int) *Catalog {
	return &Catalog{most: int64(most), MostShares: DefaultShares}
}

// Use names the host of all series.
func (c *Catalog) Use(h Host) { c.host = h }

// Add takes a family in. The series of a family without labels starts.
func (c *Catalog) Add(f *Family) {
	c.mu.Lock()
	c.families = append(c.families, f)
	if len(c.kept.byWording) > 0 {
		f.rests = c.kept.byWording[f.Def.Wording()]
		if f.rests != nil {
			f.Record = f.rests.family.Record
		}
	}
	c.mu.Unlock()
	if c.host.Shared() {
		f.exemplars.Store(&c.exemplars)
	}
	if f.Single != nil {
		c.Start(f.Single)
	}
}

// Families returns the families in the order in which they were added.
func (c *Catalog) Families() []*Family {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.families[:len(c.families):len(c.families)]
}

// Each calls do for every instrument with cells, series of vecs and rests included. No lock of a
// vec is held meanwhile: new series would wait for the lock.
func (c *Catalog) Each(do func(Instrument)) {
	for _, f := range c.Families() {
		if f.Mirrored {
			continue
		}
		var all []Instrument
		f.Instruments(func(i Instrument) { all = append(all, i) })
		for _, i := range all {
			do(i)
		}
	}
	for _, i := range c.rests() {
		do(i)
	}
}

// Close forgets all series, after the place was closed. No sweep follows, so that the lists would
// grow with each series that the program makes and deletes.
func (c *Catalog) Close() {
	c.exemplars.close()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed, c.kept = true, kept{}
	for _, f := range c.families {
		f.children, f.rests = children{}, nil
	}
}

// Exemplars lists the instruments that have exemplars.
func (c *Catalog) Exemplars() *ExemplarList { return &c.exemplars }

// Published returns how many series count against the limit.
func (c *Catalog) Published() int { return int(c.published.Load()) }

// Start makes a new instrument count. Start runs under the write lock of a vec, for which
// every With of the vec waits: no system call, no transaction, and no lock that is held
// over either. But for a moment Start waits for room, because a series in memory would be lost
// if the process was killed.
func (c *Catalog) Start(i Instrument) {
	if !c.host.Shared() {
		i.Keep()
		return
	}
	if c.start(i) {
		c.host.Await(i.Base())
	}
}

// start is Start until the series has entered the place, and reports whether it has.
func (c *Catalog) start(i Instrument) (entered bool) {
	s := i.Base()
	if s.Family.Single == nil {
		s.hash = hashOf(s.Values)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.Family.removed || c.closed {
		i.Keep()
		return false
	}
	earlier := c.replaces(s)
	if c.inherit(i, earlier) {
		return false
	}
	if earlier != nil {
		c.markGone(earlier)
	}
	if c.reserve(s) {
		c.host.Enter(i, earlier)
		return true
	}
	i.Keep()
	if earlier != nil {
		c.host.Depart(earlier)
	}
	c.wait(s)
	return false
}

// replaces notes that a series of a vec exists, and returns the earlier series with the
// same label values that was deleted from the vec, nil if there is none. mu is held.
func (c *Catalog) replaces(s *Series) (earlier *Series) {
	f := s.Family
	if f.Single != nil {
		return nil
	}
	earlier = f.children.find(s.hash, s.Values)
	c.born++
	s.born = c.born
	f.children.add(s)
	return earlier
}

// reserve counts a series against the limit. A series beyond the limit stays in memory for now,
// and a series whose record no reader would accept stays there for good.
func (c *Catalog) reserve(s *Series) bool {
	if s.Family.Unlimited {
		return true
	}
	if s.unreadable() || !c.takePlace(s) {
		c.dropped.Add(1)
		return false
	}
	return true
}

// takePlace counts a series against the limit if there is a place.
func (c *Catalog) takePlace(s *Series) bool {
	if c.published.Add(1) > c.most {
		c.published.Add(-1)
		return false
	}
	s.counted = true
	return true
}

// unreadable reports whether readers would refuse the record of a series. A curried vec lets values
// in that are not UTF-8: client_golang does not look at the curried values.
func (s *Series) unreadable() bool {
	const head = 64 // more than the numbers before the label values take
	n := head
	for _, v := range s.Values {
		n += binary.MaxVarintLen32 + len(v)
		if len(v) > layout.MaxLabelBytes || !utf8.ValidString(v) {
			return true
		}
	}
	return n > layout.MaxRecordBytes
}

// TakeDropped returns how many series were dropped since the last call.
func (c *Catalog) TakeDropped() uint64 { return c.dropped.Swap(0) }
