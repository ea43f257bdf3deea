// Package boltfile makes bbolt files and puts slabs and headers into the files, by the placement
// rules of package layout: both for the file of a process and for an archive.
package boltfile

import (
	"os"
	"time"

	"go.etcd.io/bbolt"

	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// lockTimeout bounds the wait for the lock of a new file. No other process knows the file, so only
// a broken file system lets the caller wait.
const lockTimeout = time.Second

// mapBytes is the part of a file that bbolt maps from the start, beyond the end of the file. To
// map more, bbolt would unmap the file first, and without memory for the new mapping bbolt would
// have no mapping at all. Some hundred thousand series fit. The mapping costs addresses only; a
// 32-bit process has few addresses, so the mapping is an eighth there.
const mapBytes = 8 << 20 << (3 * is64Bit)

// is64Bit is 1 where addresses have 64 bits, and 0 otherwise.
const is64Bit = ^uint(0) >> 63

// Create makes a new bbolt file and locks the file. The directory decides the mode. The returned
// file belongs to bbolt: use it for mapping only.
func Create(path string, who directory.Readers) (db *bbolt.DB, file *os.File, inode uint64, err error) {
	db, err = bbolt.Open(path, 0, &bbolt.Options{
		Timeout:      lockTimeout,
		NoSync:       true, // the page cache survives the process; an archive is synced at the end
		NoGrowSync:   true, // otherwise growing syncs in spite of NoSync
		FreelistType: bbolt.FreelistMapType,
		PageSize:     layout.PageSize,
		NoStatistics: true,

		InitialMmapSize: mapBytes,
		OpenFile: func(path string, _ int, _ os.FileMode) (*os.File, error) {
			f, st, err := directory.Create(path, who)
			if err != nil {
				return nil, err
			}
			file, inode = f, st.Inode
			return f, nil
		},
	})
	return db, file, inode, err
}

// PutHeader puts the header record into a file.
func PutHeader(tx *bbolt.Tx, h *layout.Header) error {
	h.PageSize = layout.PageSize
	return put(tx, []byte(layout.HeaderBucket), layout.HeaderKey, h.Encode())
}

// ReplaceHeader replaces the header record. The record is small: bbolt keeps its bucket in the
// page of the root, and no slab moves.
func ReplaceHeader(tx *bbolt.Tx, h *layout.Header) error {
	h.PageSize = layout.PageSize
	return tx.Bucket([]byte(layout.HeaderBucket)).Put([]byte(layout.HeaderKey), h.Encode())
}

// Header reads the header record.
func Header(tx *bbolt.Tx) (*layout.Header, error) {
	return layout.DecodeHeader(tx.Bucket([]byte(layout.HeaderBucket)).Get([]byte(layout.HeaderKey)))
}

// Put puts a slab into a file. Each slab has its own bucket, because otherwise the next slab would
// move the slab.
func Put(tx *bbolt.Tx, number uint32, slab []byte) error {
	return put(tx, layout.SlabBucket(number), layout.SlabKey, slab)
}

func put(tx *bbolt.Tx, bucket []byte, key string, value []byte) error {
	b, err := tx.CreateBucket(bucket)
	if err != nil {
		return err
	}
	return b.Put([]byte(key), value)
}
