//go:build unix

package reader

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// foreignPages makes the file of a process whose bbolt has another page size
// than ours, with one counter in it.
func foreignPages(t *testing.T, pageSize int, says uint32) string {
	t.Helper()
	// Above a quarter of the largest page: bbolt would put the bucket inline.
	const pages = 8
	id := layout.NewID()
	path := filepath.Join(t.TempDir(), layout.FileName(1, id))
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoSync: true, PageSize: pageSize})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	slab := func(kind layout.SlabKind, number uint32) []byte {
		return layout.EncodeSlab(layout.SlabHeader{Kind: kind, Number: number, Bytes: uint64(layout.SlabBytes(pages))})
	}
	log, cells := slab(layout.LogSlab, 0), slab(layout.CellSlab, 1)
	at := layout.SlabHeaderBytes
	for _, payload := range [][]byte{
		layout.AppendFamily(nil, 0, &layout.Family{Type: layout.Counter, Name: "c_total"}),
		layout.AppendSeries(nil, &layout.Series{Place: layout.Place{Slab: 1}}),
	} {
		binary.NativeEndian.PutUint64(log[at:], layout.RecordWord(payload))
		copy(log[at+layout.RecordWordBytes:], payload)
		at += layout.RecordBytes(len(payload))
	}
	binary.NativeEndian.PutUint64(cells[layout.SlabHeaderBytes:], 42)
	h := layout.Header{PID: 1, ID: id, Inode: info.Sys().(*syscall.Stat_t).Ino, PageSize: says}
	err = db.Update(func(tx *bbolt.Tx) error {
		return errors.Join(
			put(tx, []byte(layout.HeaderBucket), layout.HeaderKey, h.Encode()),
			put(tx, layout.SlabBucket(0), layout.SlabKey, log),
			put(tx, layout.SlabBucket(1), layout.SlabKey, cells),
		)
	})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// A kernel with larger pages writes larger pages, if bbolt is left to decide.
func TestPageSizes(t *testing.T) {
	for _, size := range []int{4 << 10, 16 << 10, 64 << 10} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			f := open(t, foreignPages(t, size, uint32(size)))
			if diff := cmp.Diff(load(t, f), []uint64{42, 0}); diff != "" {
				t.Errorf("values (-got +want):\n%s", diff)
			}
		})
	}
}

func TestPageSizesThatDiffer(t *testing.T) {
	_, err := Open(foreignPages(t, 16<<10, 4<<10))
	if !errors.Is(err, layout.ErrDamaged) || !strings.Contains(err.Error(), "pages of 16384 bytes, the header says 4096") {
		t.Errorf("got %v, want %v and both sizes", err, layout.ErrDamaged)
	}
}
