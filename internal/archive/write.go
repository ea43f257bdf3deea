package archive

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/mpmetrics/mpmetrics/internal/boltfile"
	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// usualSlabPages is the size of a slab of an archive, 1 MiB. A smaller archive has a single,
// smaller slab.
const usualSlabPages = 256

// Write writes the archive to a new file in a directory and returns the name of the file. The
// archive gets a new generation. No process reads the file under the temporary name; call Sync and
// Publish next.
func (a *Archive) Write(dir string, h layout.Header) (temporary string, err error) {
	a.Generation = layout.NewID()
	h.Kind, h.ID, h.Generation, h.Inode, h.LogSlab = layout.ArchiveFile, a.Generation, a.Epoch, 0, 0
	temporary = layout.ArchiveTemporary(a.Generation)
	path := filepath.Join(dir, temporary)
	if err := a.write(path, h); err != nil {
		os.Remove(path)
		return "", fmt.Errorf("write archive: %w", err)
	}
	if err := seal(path); err != nil {
		os.Remove(path)
		return "", fmt.Errorf("write archive: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("write archive: %w", err)
	}
	a.Size = info.Size()
	return temporary, nil
}

func (a *Archive) write(path string, h layout.Header) error {
	db, _, _, err := boltfile.Create(path, directory.GroupWrites)
	if err != nil {
		return err
	}
	w := &writer{db: db, header: h}
	err = w.archive(a)
	if closeErr := db.Close(); err == nil {
		err = closeErr
	}
	return err
}

// Sync makes sure that the file of Write is on the disk.
func Sync(dir, temporary string) error { return directory.Sync(filepath.Join(dir, temporary)) }

// Publish renames the file of Write, after Sync, over the archive. The rename is the moment of the
// absorption. If first is set, Publish links the file instead: the error wraps fs.ErrExist if an
// archive is in place.
//
// dir is open: if another directory has taken the path since, Publish does not touch the other
// directory.
func Publish(dir *os.Root, temporary string, first bool) error {
	err := errors.ErrUnsupported
	if first {
		err = dir.Link(temporary, layout.ArchiveName)
		if err == nil {
			_ = dir.Remove(temporary) // the next absorption removes the name
		}
	}
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrPermission) { // no hard links
		err = dir.Rename(temporary, layout.ArchiveName)
	}
	if err != nil {
		return fmt.Errorf("publish archive: %w", err)
	}
	// An error here costs nothing now: the next absorption tries again.
	_ = MarkPublished(dir.Name())
	return nil
}

// writer writes records into slabs, and slabs into a bbolt file.
type writer struct {
	db     *bbolt.DB
	header layout.Header
	number uint32 // of the slab in body
	body   []byte
}

func (w *writer) archive(a *Archive) error {
	for payload, err := range a.Records() {
		if err == nil {
			err = w.append(payload)
		}
		if err != nil {
			return err
		}
	}
	if err := w.seal(0); err != nil {
		return err
	}
	return w.db.Update(func(tx *bbolt.Tx) error { return boltfile.PutHeader(tx, &w.header) })
}

// append adds a record to the log. A full slab ends, and the log goes on in a new slab.
func (w *writer) append(payload []byte) error {
	const usual = usualSlabPages*layout.PageSize - layout.ValueOffset - layout.SlabHeaderBytes
	room := layout.RecordBytes(len(payload)) + layout.WordBytes // and the word at the end
	if len(w.body) > 0 && len(w.body)+room > usual {
		if err := w.seal(layout.ContinueWord(w.number + 1)); err != nil {
			return err
		}
	}
	at := len(w.body)
	w.body = slices.Grow(w.body, room)[:at+layout.RecordBytes(len(payload))]
	clear(w.body[at:])
	binary.NativeEndian.PutUint64(w.body[at:], layout.RecordWord(payload))
	copy(w.body[at+layout.RecordWordBytes:], payload)
	return nil
}

// seal ends the slab with a word and writes it.
func (w *writer) seal(word uint64) error {
	w.body = binary.NativeEndian.AppendUint64(w.body, word)
	value := layout.EncodeSlab(layout.SlabHeader{
		Kind: layout.LogSlab, Number: w.number, Generation: w.header.Generation,
		Bytes: uint64(layout.SlabBytes(layout.SlabPages(len(w.body)))),
	})
	copy(value[layout.SlabHeaderBytes:], w.body)
	err := w.db.Update(func(tx *bbolt.Tx) error { return boltfile.Put(tx, w.number, value) })
	w.number, w.body = w.number+1, w.body[:0]
	return err
}
