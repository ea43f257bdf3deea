package layout

import (
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"strconv"
	"strings"
)

// ID names one process for ever: 128 random bits, made when its file is made.
type ID [16]byte

// idText is lower-case base32 without padding: 26 characters, safe in file
// names on file systems that fold case.
var idText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

const idTextBytes = 26

// Names in the directory beside the files of processes.
const (
	// ArchiveName is what the dead have counted.
	ArchiveName = "archive" + Extension

	// LockName is the file that a compactor locks. It is never removed: two
	// compactors would lock two files.
	LockName = "compact.lock"

	// LocationName says where the archive is, when it is not in the directory.
	LocationName = "archive.location"

	// QuarantineName is the directory of the files that were put aside.
	QuarantineName = "quarantine"

	archivePrefix = "archive-"
)

// NewID makes a random ID.
func NewID() ID {
	var id ID
	rand.Read(id[:]) // never fails: crypto/rand ends the program instead
	return id
}

// String returns the 26 characters that ParseID reads.
func (id ID) String() string { return idText.EncodeToString(id[:]) }

// ParseID reads what String wrote.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != idTextBytes {
		return ID{}, fmt.Errorf("id %q: %d characters, want %d", s, len(s), idTextBytes)
	}
	if _, err := idText.Decode(id[:], []byte(s)); err != nil {
		return ID{}, fmt.Errorf("id %q: %w", s, err)
	}
	if id.String() != s {
		// The last character carries two spare bits: only zeros are accepted,
		// otherwise one id would have several names.
		return ID{}, fmt.Errorf("id %q: not in canonical form", s)
	}
	return id, nil
}

// FileName is the name of a process's published file.
func FileName(pid int, id ID) string {
	return strconv.Itoa(pid) + "-" + id.String() + Extension
}

// ParseFileName reads what FileName wrote. Names that it does not accept are
// not ours and never touched.
func ParseFileName(name string) (pid int, id ID, err error) {
	base, ok := strings.CutSuffix(name, Extension)
	if !ok {
		return 0, ID{}, fmt.Errorf("file name %q: no extension %s", name, Extension)
	}
	number, text, ok := strings.Cut(base, "-")
	if !ok {
		return 0, ID{}, fmt.Errorf("file name %q: want <pid>-<id>%s", name, Extension)
	}
	pid, err = strconv.Atoi(number)
	if err != nil || pid <= 0 || strconv.Itoa(pid) != number {
		return 0, ID{}, fmt.Errorf("file name %q: %q is not a pid", name, number)
	}
	id, err = ParseID(text)
	if err != nil {
		return 0, ID{}, fmt.Errorf("file name %q: %w", name, err)
	}
	return pid, id, nil
}

// ArchiveTemporary is the name of an archive that is being written.
func ArchiveTemporary(id ID) string { return archivePrefix + id.String() + TemporaryExtension }

// IsTemporary reports whether a name is that of a file that is being made: an
// archive, or the file of a process.
func IsTemporary(name string) bool {
	base, ok := strings.CutSuffix(name, TemporaryExtension)
	if !ok {
		return false
	}
	if text, ok := strings.CutPrefix(base, archivePrefix); ok {
		_, err := ParseID(text)
		return err == nil
	}
	_, _, err := ParseFileName(base)
	return err == nil
}
