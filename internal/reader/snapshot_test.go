//go:build unix

package reader

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/testing/effort"
)

// churnSlabs are enough that bbolt needs branch pages for their buckets, and
// that reading them all takes about as long as a commit.
const churnSlabs = 120

// commitForEver commits for ever. Every transaction gives the header and all
// slabs the same number, its own, and puts every slab somewhere else: pages are
// used again as fast as bbolt can.
func commitForEver(path string) error {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{
		NoSync: true, NoGrowSync: true, FreelistType: bbolt.FreelistMapType, PageSize: layout.PageSize,
	})
	if err != nil {
		return err
	}
	for n := uint32(1); ; n++ {
		err := db.Update(func(tx *bbolt.Tx) error {
			h := layout.Header{PID: 1, Generation: n, PageSize: layout.PageSize}
			if err := put(tx, []byte(layout.HeaderBucket), layout.HeaderKey, h.Encode()); err != nil {
				return err
			}
			for i := range uint32(churnSlabs) {
				slab := layout.EncodeSlab(layout.SlabHeader{
					Kind: layout.LogSlab, Number: i, Generation: n, Bytes: uint64(layout.SlabBytes(1)),
				})
				if err := put(tx, layout.SlabBucket(i), layout.SlabKey, slab); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		if n == 3 {
			ready()
		}
	}
}

func put(tx *bbolt.Tx, bucket []byte, key string, value []byte) error {
	if tx.Bucket(bucket) != nil {
		if err := tx.DeleteBucket(bucket); err != nil {
			return err
		}
	}
	b, err := tx.CreateBucket(bucket)
	if err != nil {
		return err
	}
	return b.Put([]byte(key), value)
}

// torn says how a snapshot mixes transactions, or nil.
func torn(s *snapshot) error {
	if len(s.slabs) != churnSlabs {
		return fmt.Errorf("%d slabs, want %d", len(s.slabs), churnSlabs)
	}
	for _, slab := range s.slabs {
		if slab.header.Generation != s.header.Generation {
			return fmt.Errorf("slab %d of transaction %d, header of %d", slab.header.Number, slab.header.Generation, s.header.Generation)
		}
	}
	return nil
}

// A snapshot that was accepted is of one transaction, while another process
// commits without pause. Without the second reading of the metas it is not: the
// control has to fail, otherwise the test shows nothing.
func TestSnapshotIsOfOneTransaction(t *testing.T) {
	accepted := effort.Rounds(1000, 5000, 500_000) // on each file system
	for _, where := range []string{"disk", "tmpfs"} {
		t.Run(where, func(t *testing.T) {
			path := filepath.Join(directoryOn(t, where), "churn.mpm")
			startWriter(t, "commit", path)
			f, _, err := directory.OpenFile(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			violations, busy := 0, 0
			for n := 0; n < accepted; {
				s, err := readSnapshot(f, metas{})
				switch {
				case errors.Is(err, ErrBusy):
					busy++
					continue
				case err == nil:
					err = torn(s)
				}
				n++
				if err != nil {
					violations++
					t.Errorf("snapshot %d: %v", n, err)
				}
			}
			control, tries := 0, 0
			for ; control < 3 && tries < 50*accepted; tries++ {
				s, err := retrySnapshot(f, metas{}, func(_, _ metas) bool { return true })
				if err == nil {
					err = torn(s)
				}
				if err != nil {
					control++
				}
			}
			t.Logf("%d accepted, %d violations, %d times busy; control: %d violations in %d", accepted, violations, busy, control, tries)
			if control == 0 {
				t.Error("the control without a second reading of the metas saw no violation: the writer is too slow to show anything")
			}
		})
	}
}

// directoryOn returns a directory on a file system of a kind.
func directoryOn(t *testing.T, where string) string {
	t.Helper()
	if where == "disk" {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp("/dev/shm", "mpmetrics-test-")
	if err != nil {
		t.Skipf("no tmpfs at /dev/shm: %v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
