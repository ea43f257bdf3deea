//go:build !linux

package directory

import "os"

// namesAtOnce is how many names are asked for at a time.
const namesAtOnce = 4096

// entryReader reads a directory without inodes: only Linux is known to have inodes with names.
type entryReader struct{ d *os.File }

func newEntryReader(d *os.File) *entryReader { return &entryReader{d} }

// appendTo appends the next entries, and returns io.EOF after the last entry.
func (r *entryReader) appendTo(entries []Entry) ([]Entry, error) {
	names, err := r.d.Readdirnames(namesAtOnce)
	for _, name := range names {
		entries = append(entries, Entry{Name: name})
	}
	return entries, err
}
