//go:build unix

package reader

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/mpmetrics/mpmetrics/internal/boltfile"
	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/testing/damage"
)

// Slabs within slabs: each page of a large slab of cells begins another one, which
// reaches to the same end. Cells that are there once are counted, and kept, often.
func TestOverlappingSlabs(t *testing.T) {
	const pages = 256 // 1 MiB of cells
	id := layout.NewID()
	path := filepath.Join(t.TempDir(), layout.FileName(1, id))
	db, _, inode, err := boltfile.Create(path, directory.GroupReads)
	if err != nil {
		t.Fatal(err)
	}
	// One slab of cells, and buckets whose roots are made to lead into it.
	err = db.Update(func(tx *bbolt.Tx) error {
		slab := layout.EncodeSlab(layout.SlabHeader{Kind: layout.LogSlab, Number: 0, Bytes: uint64(layout.SlabBytes(16))})
		body := slab[layout.SlabHeaderBytes:]
		bounds := make([]float64, 400)
		for i := range bounds {
			bounds[i] = float64(i)
		}
		f := &layout.Family{Type: layout.Histogram, Name: "h", Bounds: bounds}
		at := 0
		add := func(payload []byte) {
			if at+layout.RecordBytes(len(payload))+8 > len(body) {
				return
			}
			binary.NativeEndian.PutUint64(body[at:], layout.RecordWord(payload))
			copy(body[at+8:], payload)
			at += layout.RecordBytes(len(payload))
		}
		add(layout.AppendFamily(nil, 0, f))
		add(layout.AppendSeries(nil, &layout.Series{Place: layout.Place{Slab: 1}}))
		for n := range uint32(3000) {
			add(layout.AppendSeries(nil, &layout.Series{Number: 1 + n, Place: layout.Place{Slab: 1}}))
		}
		if err := boltfile.Put(tx, 0, slab); err != nil {
			return err
		}
		if err := boltfile.Put(tx, 1, layout.EncodeSlab(layout.SlabHeader{Kind: layout.CellSlab, Number: 1, Bytes: uint64(layout.SlabBytes(pages))})); err != nil {
			return err
		}
		for n := range uint32(pages - 1) {
			if err := boltfile.Put(tx, 2+n, make([]byte, 8)); err != nil {
				return err
			}
		}
		return boltfile.PutHeader(tx, &layout.Header{PID: 1, ID: id, Inode: inode})
	})
	if err != nil {
		t.Fatal(err)
	}
	root := map[uint32]uint64{}
	_ = db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			if n, ok := layout.ParseSlabBucket(name); ok {
				root[n] = uint64(b.Root())
			}
			return nil
		})
	})
	db.Close()
	file := readFile(t, path)
	large := root[1]
	// The element of bucket n in the root page: name, then the root of the bucket.
	forge := func(n uint32, to uint64) {
		name := layout.SlabBucket(n)
		for i := range len(file) - len(name) - 8 {
			if string(file[i:i+len(name)]) == string(name) && i > 2*layout.PageSize {
				binary.LittleEndian.PutUint64(file[i+len(name):], to)
			}
		}
	}
	for n := range uint32(pages - 1) {
		at := large + 1 + uint64(n)
		p := file[at*layout.PageSize:]
		rest := pages - 1 - int(n)
		copy(p, file[large*layout.PageSize:large*layout.PageSize+layout.ValueOffset])
		binary.LittleEndian.PutUint64(p, at)
		binary.LittleEndian.PutUint32(p[12:], uint32(rest-1))
		binary.LittleEndian.PutUint32(p[pageHeaderBytes+12:], uint32(layout.SlabBytes(rest)))
		copy(p[layout.ValueOffset:], layout.EncodeSlab(layout.SlabHeader{Kind: layout.CellSlab, Number: 2 + n, Bytes: uint64(layout.SlabBytes(rest))})[:layout.SlabHeaderBytes])
		forge(2+n, at)
	}
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	damage.Bounded(t, "file", func() {
		f, err := Open(path)
		if err == nil {
			defer f.Close()
			t.Errorf("slabs that overlap are accepted: %d bytes, %d cells claimed, %d entries, %d values", len(file), f.cells, len(f.Entries()), len(f.values))
		}
		if !errors.Is(err, layout.ErrDamaged) {
			t.Errorf("error %v, want %v", err, layout.ErrDamaged)
		}
	})
}
