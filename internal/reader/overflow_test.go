//go:build unix

package reader

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/testing/damage"
)

// Pages that overflow into each other: a file of 8 MiB makes the reader read many
// times as much.
func TestOverlappingOverflow(t *testing.T) {
	const pages, children, chain = 2048, 1000, 1000
	b := newBook(pages)
	b.page(firstPage, branchPage, children, 3)
	for i := range children {
		id := 10 + i
		at := firstPage*layout.PageSize + pageHeaderBytes + i*elementBytes
		binary.LittleEndian.PutUint64(b[at+8:], uint64(id))
		b.page(id, leafPage, 0, chain)
	}
	damage.Bounded(t, "snapshot", func() {
		if _, err := readSnapshot(memoryOf(b), metas{}); !errors.Is(err, layout.ErrDamaged) {
			t.Errorf("error %v, want %v", err, layout.ErrDamaged)
		}
	})
}
