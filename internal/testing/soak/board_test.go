//go:build unix

package soak

import (
	"os"
	"sync/atomic"

	"github.com/mpmetrics/mpmetrics/internal/cell"
	"github.com/mpmetrics/mpmetrics/internal/mapped"
)

// fact numbers the things that are counted on the board.
type fact int

const (
	whole    fact = iota // a counter of whole numbers
	halves               // a counter of halves, on the board in halves
	seconds              // a histogram
	layouts              // a histogram of which each version has other buckets
	summary              // a summary
	labels               // a counter of which each version has other labels
	done                 // a gauge that adds up
	newest               // a gauge that shows the largest value
	native               // a native histogram: written by flushes
	mirrored             // a counter of client_golang
	observed             // a histogram of client_golang
	alive                // processes that said so by a gauge of the living
	each                 // the same, one sample for each
	present              // processes that said so by a mirrored gauge
	ended                // processes that are to end (begun), and that have ended (certain)
	churned              // counters that are deleted and made again, so many
	facts    = churned + churns
)

const churns = 5

// board is the memory of the witness, in a file that all processes map: what a process has written
// there outlives the process. Of each fact the board says how much was begun, and how much
// is certain: a process notes before an update that the update begins, and after the update that
// all later scrapes are to have the update.
type board struct {
	begun, certain []atomic.Uint64
}

// openBoard maps the board in a file, which openBoard makes if the file does not exist.
func openBoard(name string) (*board, error) {
	const bytes = int(facts) * 2 * 8
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := f.Truncate(int64(bytes)); err != nil {
		return nil, err
	}
	region, err := mapped.Write(int(f.Fd()), name, 0, bytes)
	if err != nil {
		return nil, err
	}
	words := cell.Words(region.Bytes)
	return &board{begun: words[:facts], certain: words[facts:]}, nil
}

// count does an update that later scrapes are to have at once.
func (b *board) count(f fact, update func()) {
	b.begun[f].Add(1)
	update()
	b.certain[f].Add(1)
}

// raise is count for a value that is a number of its own: the next one.
func (b *board) raise(f fact, update func(n float64)) {
	n := b.begun[f].Add(1)
	update(float64(n))
	for {
		before := b.certain[f].Load()
		if before >= n || b.certain[f].CompareAndSwap(before, n) {
			return
		}
	}
}

// notes are the numbers of the board at one moment.
type notes [facts]float64

func read(words []atomic.Uint64) (n notes) {
	for i := range words {
		n[i] = float64(words[i].Load())
	}
	return n
}
