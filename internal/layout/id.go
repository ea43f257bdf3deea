package layout

import (
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"strconv"
	"strings"
)

// ID names one process for ever: 128 random bits, made together with the file of the process.
type ID [16]byte

// idText is lower-case base32 without padding: 26 characters, safe in file
// names on file systems that fold case.
var idText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

const idTextBytes = 26

// Names in the directory beside the files of processes.
const (
	// ArchiveName is the file with the counts of dead processes.
	ArchiveName = "archive" + Extension

	// LockName is the file under the lock of a compactor. The file is never removed: otherwise two
	// compactors would lock two files.
	LockName = "compact.lock"

	// LocationName is the file with the path of an archive outside the directory.
	LocationName = "archive.location"

	// QuarantineName is the directory of the files put aside.
	QuarantineName = "quarantine"

	archivePrefix = "archive-"
)

// NewID makes a random ID.
func NewID() ID {
	var id ID
	rand.Read(id[:]) // never fails: crypto/rand ends the program instead
	return id
}

// String returns the 26 characters of the id for ParseID.
func (id ID) String() string { return idText.EncodeToString(id[:]) }

// ParseID reads an id in the form of String.
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

// ParseFileName reads a name in the form of FileName. Any other name is foreign: mpmetrics never
// touches the file.
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

// ArchiveTemporary is the name of an archive until the archive is complete.
func ArchiveTemporary(id ID) string { return archivePrefix + id.String() + TemporaryExtension }

// IsTemporary reports whether name is the temporary name of an unfinished file: of an archive, or
// of a process.
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
