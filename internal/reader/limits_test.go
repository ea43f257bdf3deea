package reader

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/table"
)

// What is above a bound is no proof of damage: it is left alone, and said.
func TestLimits(t *testing.T) {
	full := make([]table.Mirrored, table.MaxFamilies)
	const saying = "100000 mirrored families"
	if err := (&tree{}).values(0, leafOf(0), &full); !errors.Is(err, layout.ErrLimit) || !strings.Contains(err.Error(), saying) {
		t.Errorf("error %v, want %v that says %q", err, layout.ErrLimit, saying)
	}
	if err := (&tree{}).values(0, leafOf(bucketElement), new([]table.Mirrored)); !errors.Is(err, layout.ErrDamaged) {
		t.Errorf("a bucket among mirrored families: %v, want %v", err, layout.ErrDamaged)
	}
}

// leafOf is an inline page with one empty element.
func leafOf(flags uint32) page {
	p := make(page, pageHeaderBytes+elementBytes)
	binary.LittleEndian.PutUint16(p[8:], leafPage)
	binary.LittleEndian.PutUint16(p[10:], 1)
	binary.LittleEndian.PutUint32(p[pageHeaderBytes:], flags)
	binary.LittleEndian.PutUint32(p[pageHeaderBytes+4:], elementBytes)
	return p
}
