package scan

import (
	"sync/atomic"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/directory"
)

// Files stay open between two snapshots: to open a file again costs some microseconds. But the
// service needs its descriptors for connections.
const (
	// limitShare and freeShare are the divisors of the limit of the process, and of the descriptors
	// that the rest of the process leaves, for the files that stay open.
	limitShare = 8
	freeShare  = 4

	// usualDescriptors is the number of files that stay open on a system without a known limit.
	usualDescriptors = 48

	// spareDescriptors is the number of files that stay open under any limit. At a moment when the
	// service has taken all other descriptors, a snapshot gives them back, and has a descriptor for
	// one file after the other.
	spareDescriptors = 3

	// fewDescriptors are too few for several goroutines that read files.
	fewDescriptors = 16

	// descriptorPatience bounds the wait of a snapshot for descriptors. Others give descriptors back
	// at any moment.
	descriptorPatience = 50 * time.Millisecond
)

// descriptors counts and bounds the files that stay open. fetchers may count in parallel.
type descriptors struct {
	open  atomic.Int64  // files with a descriptor
	kept  int64         // bound for open between two snapshots
	few   bool          // one goroutine is to read the files
	short atomic.Bool   // this snapshot has met a lack of descriptors
	wait  time.Duration // time left for waits of this snapshot

	count func() (limit, open int64) // as directory.Descriptors
}

// look looks at the limit and at the free descriptors, which may change at any time.
func (d *descriptors) look() {
	d.short.Store(false)
	d.wait, d.few = descriptorPatience, false
	limit, used := d.count()
	if limit < 0 {
		d.kept = usualDescriptors
		return
	}
	d.kept = limit / limitShare
	if used >= 0 {
		free := limit - (used - d.open.Load())
		d.kept = min(d.kept, free/freeShare)
		d.few = free < fewDescriptors
	}
	d.kept = max(d.kept, spareDescriptors)
}

// keepFew gives the descriptors of files beyond the bound back.
func (d *Directory) keepFew(most int64) {
	for _, f := range d.files {
		if d.descriptors.open.Load() <= most {
			return
		}
		if f.opened != nil {
			d.rest(f.opened)
		}
	}
}

// sparing calls do, and at a lack of descriptors gives all descriptors back and calls do again. No
// other goroutine of the snapshot runs meanwhile.
func (d *Directory) sparing(do func() error) error {
	err := do()
	for pause := time.Millisecond; directory.OutOfDescriptors(err); pause *= 2 {
		d.descriptors.short.Store(true)
		if d.descriptors.open.Load() == 0 {
			if d.descriptors.wait <= 0 {
				return err
			}
			d.descriptors.wait -= pause
			time.Sleep(pause)
		}
		d.keepFew(0)
		err = do()
	}
	return err
}
