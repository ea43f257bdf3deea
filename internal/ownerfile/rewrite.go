package ownerfile

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/mpmetrics/mpmetrics/internal/boltfile"
	"github.com/mpmetrics/mpmetrics/internal/fork"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/mapped"
)

// When more than a third of the log is dead (series with a gone record, the gone records, and share
// records with a later share record), the owner rewrites the log:
//
//   1. The owner copies the living records into log slabs outside the log: slabs of former logs,
//      and new slabs if those are too small together.
//   2. The owner copies the records appended since. From then on, under mu, the owner appends each
//      record to both logs, to the new log first.
//   3. A transaction makes the new log the log in force, with the next generation: a reader of the
//      header finds one whole log or the other.
//   4. The owner appends to the new log alone.
//   5. The slabs of the old log rest, longer than any reader of the old log may take. Then the
//      owner zeroes the slabs for a later log.
//
// Cells do not move, and series keep their numbers. Killed before step 3, the owner leaves the old
// log in force; killed after step 3, the new log. Both logs are complete. The new log comes first
// in step 2 because of a kill between the two appends: then the log in force lacks only a record
// that no reader has seen. One exception: a reader still in the old log after step 3 sees a record
// later than other readers.
//
// The size of the file. A rewrite waits until no slab of a former log rests, so that there are two
// logs at most. When a rewrite begins, a log has 1.5 times its living records, or what lived within
// the last minute. Two such logs, and what is left free at the ends of slabs and in spares, are less
// than four times the most that lived within a minute. Logs of 512 KiB together need not wait.

const (
	// rewriteAtLeast is how many bytes of a log have to be dead: a small log is
	// not worth a transaction.
	rewriteAtLeast = 16 << 10

	// deadShare is which part of a log has to be dead: more than a third.
	deadShare = 3

	// logsAtLeast bounds the slabs of all logs where a rewrite need not wait until former logs have
	// rested. If series come and go so fast that more slabs would be necessary, the log grows
	// meanwhile.
	logsAtLeast = 512 << 10

	// rewriteAgainAfter is the wait after a failed rewrite: the failure costs a copy of the log.
	rewriteAgainAfter = time.Minute

	// roomMeanwhile is the least room in the new log for the records that are appended to both
	// logs, and roomTries bounds how often the owner makes such room.
	roomMeanwhile = 4 << 10
	roomTries     = 8
)

var (
	errNotNow  = errors.New("a slab waits to be mapped")
	errUnknown = errors.New("unknown which log is in force")
	errNoRoom  = errors.New("more was appended meanwhile than there was room for")
)

// former are the slabs of former logs. Guarded by File.growing.
type former struct {
	resting []restingSlab
	ready   []*slab // zeroed
}

type restingSlab struct {
	*slab
	since time.Time
}

// recycle zeroes the slabs that have rested for long enough. growing is held.
func (f *former) recycle(now time.Time, rest time.Duration) error {
	n := 0
	defer func() { f.resting = slices.Delete(f.resting, 0, n) }()
	for ; n < len(f.resting) && now.Sub(f.resting[n].since) >= rest; n++ {
		s := f.resting[n].slab
		// The file may have been truncated since Check looked.
		if err := mapped.Guard(func() error { clear(s.bytes(0)); return nil }); err != nil {
			return err
		}
		f.ready = append(f.ready, s)
	}
	return nil
}

// take returns the smallest ready slab with so many bytes, nil if there is none.
// growing is held.
func (f *former) take(bytes int) *slab {
	best := -1
	for i, s := range f.ready {
		if s.body() >= bytes && (best < 0 || s.body() < f.ready[best].body()) {
			best = i
		}
	}
	if best < 0 {
		return nil
	}
	s := f.ready[best]
	f.ready = slices.Delete(f.ready, best, best+1)
	return s
}

// mark is a place in the log: where the next record will be.
type mark struct {
	slab *slab
	used int
}

// Rewrite rewrites the log if worth the work. The caller runs Rewrite in the background, now and
// then. An error leaves the log as before; an error that wraps ErrMoved ends the file.
func (p *File) Rewrite(now time.Time) error {
	p.growing.Lock()
	defer p.growing.Unlock()
	if p.closed || p.broken || p.moved != nil || p.cut || fork.Foreign(p.pid) {
		return nil
	}
	if now.Before(p.rewriteAfter) {
		return nil
	}
	from, end, due := p.dueForRewrite()
	if !due {
		return nil
	}
	// bbolt reads its own mapping of the file, and the file may be truncated.
	err := p.faulted(mapped.Guard(func() error { return p.rewrite(now, from, end) }))
	if err != nil {
		p.rewriteAfter = now.Add(rewriteAgainAfter)
		return fmt.Errorf("rewrite the log of %s: %w", p.path, err)
	}
	return nil
}

// dueForRewrite returns the beginning and the end of the log, and whether to rewrite the log.
func (p *File) dueForRewrite() (from, end mark, due bool) {
	ready := 0
	for _, s := range p.former.ready {
		ready += s.body()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &p.log
	dead := t.bytes - p.livingBytes
	if p.dead || dead < rewriteAtLeast || dead <= t.bytes/deadShare {
		return mark{}, mark{}, false
	}
	if len(p.former.resting) > 0 && p.bytesOf(layout.LogSlab)+max(0, p.livingBytes-ready) > logsAtLeast {
		return mark{}, mark{}, false
	}
	return mark{t.slabs[0], 0}, mark{t.current, t.used}, true
}

// walk calls do with each record between two places of the log, with its payload and the word
// before the payload. growing is held: no slab leaves the log.
func (p *File) walk(from, end mark, do func(payload []byte, word uint64) error) error {
	at := from
	for at != end {
		word := at.slab.word(at.used).Load()
		n := layout.RecordLength(word)
		if n == layout.Continued {
			next := slices.IndexFunc(p.slabs, func(s *slab) bool { return s.header.Number == layout.ContinuedIn(word) })
			at = mark{p.slabs[next], 0}
			continue
		}
		if err := do(at.slab.bytes(at.used + layout.RecordWordBytes)[:n:n], word); err != nil {
			return err
		}
		at.used += layout.RecordBytes(int(n))
	}
	return nil
}

// rewrite is the work: steps 1 to 5. growing is held.
func (p *File) rewrite(now time.Time, from, end mark) error {
	deleted, err := p.deletedIn(from, end)
	if err != nil {
		return err
	}
	living := 0
	err = p.walk(from, end, func(payload []byte, _ uint64) error {
		if !deleted.dead(payload) {
			living += layout.RecordBytes(len(payload))
			if share := deleted.shareOf(payload); share != nil {
				living += layout.RecordBytes(len(share))
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	next, err := p.beginLog(living)
	if err != nil {
		return err
	}
	copyIn := func(payload []byte, word uint64) error { return p.copyIn(next, payload, word, living) }
	err = p.walk(from, end, func(payload []byte, word uint64) error { // 1
		if deleted.dead(payload) {
			return nil
		}
		if err := copyIn(payload, word); err != nil {
			return err
		}
		if share := deleted.shareOf(payload); share != nil {
			return copyIn(share, layout.RecordWord(share))
		}
		return nil
	})
	if err == nil {
		err = p.catchUp(next, end, copyIn) // 2
	}
	if err != nil {
		p.unused(next)
		return err
	}
	if err := p.flip(next.slabs[0]); errors.Is(err, errUnknown) { // 3
		p.broken = true // both logs are appended to from now on
		return err
	} else if err != nil {
		p.appendToOne()
		p.unused(next)
		return err
	}
	for _, old := range p.goOnIn(next) { // 4
		p.former.resting = append(p.former.resting, restingSlab{old, now}) // 5
	}
	return p.db.View(p.checkMoved)
}

// deletedSeries are the series with a gone record, and the shares.
type deletedSeries struct{ gone, share map[uint32]bool }

// dead reports whether the record is not copied: a gone record, the record of a deleted series, or a
// share record, which follows the record of its series in the new log.
func (d *deletedSeries) dead(payload []byte) bool {
	switch layout.RecordKind(payload[0]) {
	case layout.GoneRecord, layout.ShareRecord:
		return true
	case layout.SeriesRecord:
		return d.gone[layout.SeriesOf(payload)]
	}
	return false
}

// shareOf returns the share record that follows a record in the new log, nil for none.
func (d *deletedSeries) shareOf(payload []byte) []byte {
	if layout.RecordKind(payload[0]) != layout.SeriesRecord {
		return nil
	}
	series := layout.SeriesOf(payload)
	if !d.share[series] {
		return nil
	}
	return layout.AppendShare(nil, layout.Share{Series: series, On: true})
}

func (p *File) deletedIn(from, end mark) (*deletedSeries, error) {
	d := &deletedSeries{gone: map[uint32]bool{}, share: map[uint32]bool{}}
	err := p.walk(from, end, func(payload []byte, _ uint64) error {
		switch layout.RecordKind(payload[0]) {
		case layout.GoneRecord:
			d.gone[layout.SeriesOf(payload)] = true
		case layout.ShareRecord:
			r, err := layout.DecodeRecord(payload)
			if err != nil {
				return err
			}
			d.share[r.Share.Series] = r.Share.On
		}
		return nil
	})
	return d, err
}

// beginLog returns an empty log outside the log in force.
func (p *File) beginLog(living int) (*tail, error) {
	s, err := p.emptySlab(layout.WordBytes, living)
	if err != nil {
		return nil, err
	}
	next := &tail{}
	next.install(s)
	return next, nil
}

// emptySlab returns an empty, mapped log slab with at least so many bytes: the smallest slab of a
// former log that is large enough, or a new slab for so many living records and a few more. growing
// is held.
func (p *File) emptySlab(bytes, living int) (*slab, error) {
	if s := p.former.take(bytes); s != nil {
		return s, nil
	}
	if len(p.unmapped) > 0 {
		return nil, errNotNow
	}
	pages := p.slabPages(layout.LogSlab, layout.SlabPages(living+rewriteAtLeast), bytes)
	if err := p.write([]*slab{p.plan(layout.LogSlab, pages)}, false); err != nil {
		return nil, err
	}
	// If the mapping fails now, Grow takes the slab as the spare of the log.
	fresh, err := p.mapWritten()
	if err != nil {
		return nil, err
	}
	return fresh[0], nil
}

// unused keeps the slabs of a new log without readers for the next rewrite. growing is held.
func (p *File) unused(next *tail) {
	for _, s := range next.slabs {
		clear(s.bytes(0))
	}
	p.former.ready = append(p.former.ready, next.slabs...)
	p.former.keep(next.spare)
}

// keep keeps an empty slab, unless nil.
func (f *former) keep(s *slab) {
	if s != nil {
		f.ready = append(f.ready, s)
	}
}

// copyIn appends a record to the new log, of so many living records. growing is held.
func (p *File) copyIn(next *tail, payload []byte, word uint64, living int) error {
	if size := layout.RecordBytes(len(payload)) + layout.WordBytes; !next.room(size) {
		if err := p.extend(next, size, living-next.bytes); err != nil {
			return err
		}
	}
	next.put(payload, word)
	return nil
}

// extend gives the new log another spare, of at least so many bytes. growing is held.
func (p *File) extend(next *tail, bytes, living int) error {
	s, err := p.emptySlab(bytes, max(living, 0))
	if err != nil {
		return err
	}
	p.former.keep(next.spare)
	next.spare = s
	return nil
}

// catchUp copies the records appended after a place of the log. After catchUp each record is
// appended to both logs.
func (p *File) catchUp(next *tail, from mark, copyIn func(payload []byte, word uint64) error) error {
	for range roomTries {
		// Copy most records without mu, because appends wait for mu.
		p.mu.Lock()
		end := mark{p.log.current, p.log.used}
		p.mu.Unlock()
		if err := p.walk(from, end, copyIn); err != nil {
			return err
		}
		from = end
		missing, err := p.appendToBoth(next, from)
		if err != nil || missing == 0 {
			return err
		}
		if err := p.extend(next, missing, missing); err != nil {
			return err
		}
	}
	return errNoRoom
}

// appendToBoth copies the rest, if the new log has room for the rest and for some records more, and
// otherwise returns how much room the new log needs.
func (p *File) appendToBoth(next *tail, from mark) (missing int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	end, rest := mark{p.log.current, p.log.used}, 0
	err = p.walk(from, end, func(payload []byte, _ uint64) error {
		rest += layout.RecordBytes(len(payload))
		return nil
	})
	if err != nil {
		return 0, err
	}
	if need := rest + roomMeanwhile; !next.room(need) {
		return need, nil
	}
	err = p.walk(from, end, func(payload []byte, word uint64) error {
		next.put(payload, word)
		return nil
	})
	if err != nil {
		return 0, err
	}
	p.next = next
	return 0, nil
}

// appendToOne ends appending to the new log.
func (p *File) appendToOne() {
	p.mu.Lock()
	p.next = nil
	p.mu.Unlock()
}

// goOnIn makes next the only log, and returns the slabs of the old log. growing is held.
func (p *File) goOnIn(next *tail) []*slab {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.log
	if old.spare != nil {
		p.former.keep(next.spare)
		next.spare = old.spare
	} else if old.asked && !next.room(old.need) {
		next.asked, next.need = true, old.need
	}
	p.log, p.next = *next, nil
	p.prepare(&p.log)
	return old.slabs
}

// flip makes a slab the beginning of the log. growing is held.
func (p *File) flip(s *slab) error {
	h := p.header
	h.Generation++
	h.LogSlab = s.header.Number
	err := p.db.Update(func(tx *bbolt.Tx) error { return boltfile.ReplaceHeader(tx, &h) })
	if err != nil {
		// Update may also fail after the transaction has reached the file.
		var now *layout.Header
		lookErr := p.db.View(func(tx *bbolt.Tx) (err error) {
			now, err = boltfile.Header(tx)
			return err
		})
		if lookErr != nil {
			return errors.Join(errUnknown, err, lookErr)
		}
		if now.Generation != h.Generation {
			return err
		}
	}
	p.header = h
	return nil
}
