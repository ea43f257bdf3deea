package directory

import (
	"bytes"
	"encoding/binary"
	"io"
	"io/fs"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// entryReader reads a directory with the inodes. Package os needs another system call for each
// inode.
type entryReader struct {
	d      *os.File
	buffer []byte
}

const (
	// entriesBytes has room for some four hundred of our names.
	entriesBytes = 32 << 10

	// nameBytes is about what the kernel writes of one of our names.
	nameBytes = 56
)

func newEntryReader(d *os.File) *entryReader { return &entryReader{d, make([]byte, entriesBytes)} }

// Offsets in the kernel's record of each entry: linux_dirent64.
const (
	entryInode  = 0  // 8 bytes
	entryLength = 16 // 2 bytes: of the whole entry
	entryName   = 19 // ends with a NUL
)

// appendTo appends the next entries, and returns io.EOF after the last entry.
func (r *entryReader) appendTo(entries []Entry) ([]Entry, error) {
	n, err := retry(func() (int, error) { return unix.Getdents(int(r.d.Fd()), r.buffer) })
	if err != nil {
		return entries, &fs.PathError{Op: "getdents", Path: r.d.Name(), Err: err}
	}
	if n == 0 {
		return entries, io.EOF
	}
	entries = slices.Grow(entries, n/nameBytes+1)
	for rest := r.buffer[:n]; len(rest) > 0; {
		length := int(binary.NativeEndian.Uint16(rest[entryLength:]))
		name, _, _ := bytes.Cut(rest[entryName:length], []byte{0})
		if s := string(name); s != "." && s != ".." {
			entries = append(entries, Entry{s, binary.NativeEndian.Uint64(rest[entryInode:])})
		}
		rest = rest[length:]
	}
	return entries, nil
}
