package owner

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/instrument"
	"github.com/mpmetrics/mpmetrics/internal/ownerfile"
)

// An operator may remove the file of a live process, move the file away, put another file
// in its place, or cut the file short. Counting goes on in the mapped memory, which the
// kernel keeps for this process, but no reader finds the memory any more. Within a tick
// all series move into a new file:
//
//  1. The old file takes no new series: new series are counted on the heap for now.
//  2. The place makes a new file under a temporary name, with the same id.
//  3. The published series move, each with everything it has counted.
//  4. The place renames the new file to the path of the old file.
//  5. New series are published again. For a minute, late increments on the old cells are
//     moved on; then the old file is closed.
//
// While the directory cannot be used, each tick tries to go on. SIGKILL before step 4
// loses what was counted: the counts were in a file that is missing.
//
// A file that has given all its numbers for series, four billion, is left in the same way.
// That file is not missing: SIGKILL before step 4 loses what was counted since step 3
// began, some milliseconds.

// retired is a file that all series have left.
type retired struct {
	*ownerfile.File
	at time.Time
}

const (
	// retiredFor is longer than late increments are looked for.
	retiredFor = 2 * lateFor

	// maxRetired bounds the files that stay open because an operator moved them to
	// another name. While locked, a file that returns is not taken for that of a dead
	// process.
	maxRetired = 16
)

// look sees to it that readers find the counts of this process.
func (p *Place) look() {
	p.closeRetired(p.Now())
	for _, r := range p.retired {
		_ = r.Check() // an operator may cut a file that was moved to another name: late increments must not fault
	}
	if p.current == nil {
		return
	}
	if p.next == nil {
		err := p.current.Check()
		if !errors.Is(err, ownerfile.ErrRemoved) && !errors.Is(err, ownerfile.ErrTruncated) && !errors.Is(err, ownerfile.ErrExhausted) {
			return // the file is there, or the check is impossible at the moment
		}
		p.moving = err
		p.part.Store(nil) // 1
		p.turned()
		p.enterState(lost)
		p.current.Retire()
	}
	if err := p.renew(); err != nil {
		p.note(fmt.Errorf("%w; a new one cannot be made: %w", p.moving, err))
		return
	}
	go p.Logger.Warn("mpmetrics: all counts are in a new file", p.Where(), "err", p.moving)
}

func (p *Place) renew() error {
	if p.next == nil {
		next, err := p.prepareFile() // 2
		if err != nil {
			return err
		}
		p.next = next
		p.forgetRecords()
	}
	if err := p.moveTo(p.next); err != nil { // 3
		return err
	}
	if err := p.moveMirror(p.next); err != nil {
		return err
	}
	err := p.next.Publish() // 4
	p.retired = append(p.retired, retired{p.current, p.Now()})
	if err != nil {
		// The directory went missing once more. The next look finds the new file missing
		// as this look found the old file.
		p.current, p.next = p.next, nil
		p.current.Retire()
		p.enterState(lost)
		return err
	}
	p.countInto(p.next, renewed) // 5
	p.next = nil
	return nil
}

// moveTo moves every series that is published elsewhere into a file.
func (p *Place) moveTo(f *ownerfile.File) (failed error) {
	now := p.Now()
	cut := errors.Is(p.moving, ownerfile.ErrTruncated)
	p.catalog.Each(func(i instrument.Instrument) {
		s := i.Base()
		if home := s.Place.Home.Load(); failed != nil || home == nil || home == f {
			return
		}
		if cut && i.Mend() {
			s.Created.Store(time.Now().UnixNano())
		}
		if failed = p.moveOne(f, i); failed != nil {
			return
		}
		if d, ok := i.(instrument.Drainer); ok {
			p.moved = append(p.moved, moved{d, now})
		}
	})
	return failed
}

func (p *Place) moveOne(f *ownerfile.File, i instrument.Instrument) error {
	// The family, the record and the cells may need room, one after the other.
	const tries = 4
	for range tries {
		if p.publishTo(f, i) {
			return nil
		}
		if err := f.Grow(); err != nil {
			return err
		}
	}
	return errors.New("there is no room, although room was made")
}

// closeRetired closes files that all series have left for long enough.
func (p *Place) closeRetired(now time.Time) {
	p.retired = slices.DeleteFunc(p.retired, func(r retired) bool {
		if now.Sub(r.at) < retiredFor || len(p.retired) <= maxRetired && !r.Unlinked() {
			return false
		}
		if err := r.Close(); err != nil {
			go p.Logger.Warn("mpmetrics: a removed file cannot be closed", "err", err)
		}
		return true
	})
}
