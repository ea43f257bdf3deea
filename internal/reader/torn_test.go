//go:build unix

package reader

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/cell"
	"github.com/mpmetrics/mpmetrics/internal/mapped"
	"github.com/mpmetrics/mpmetrics/internal/testing/effort"
)

const (
	tornBytes  = 4096
	straddling = 60 // a word that begins here lies on two cache lines
)

// storeForEver stores words of eight equal bytes for ever: one at the front,
// aligned, and one that straddles two cache lines.
func storeForEver(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	r, err := mapped.Write(int(f.Fd()), path, 0, tornBytes)
	if err != nil {
		return err
	}
	words := cell.Words(r.Bytes)
	ready()
	for n := uint64(0); ; n++ {
		word := (n % 256) * 0x0101010101010101
		words[0].Store(word)
		binary.NativeEndian.PutUint64(r.Bytes[straddling:], word)
	}
}

// An aligned word is never torn between processes. The control, a word
// that straddles two cache lines, has to be.
func TestAlignedWordIsNeverTorn(t *testing.T) {
	loads := int64(20_000_000)
	if effort.Soak() {
		loads = 10_000_000_000
	}
	path := filepath.Join(t.TempDir(), "words")
	if err := os.WriteFile(path, make([]byte, tornBytes), 0o600); err != nil {
		t.Fatal(err)
	}
	startWriter(t, "store", path)
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := mapped.Read(int(f.Fd()), path, 0, tornBytes)
	if err != nil {
		t.Fatal(err)
	}
	words := cell.Words(r.Bytes)
	whole := func(word uint64) bool { return word == word%256*0x0101010101010101 }
	aligned, control, changes := 0, 0, 0
	var last uint64
	// On a busy machine the two may take turns on one core for a while.
	patience := time.Now().Add(time.Minute)
	seen := int64(0)
	for ; seen < loads || control == 0 && (seen%loads != 0 || time.Now().Before(patience)); seen++ {
		word := words[0].Load()
		if !whole(word) {
			aligned++
		}
		if word != last {
			last = word
			changes++
		}
		if !whole(binary.NativeEndian.Uint64(r.Bytes[straddling:])) {
			control++
		}
	}
	r.Unmap()
	t.Logf("%d loads, %d changes seen, %d torn; control: %d torn", seen, changes, aligned, control)
	if aligned > 0 {
		t.Errorf("%d of %d aligned words were torn", aligned, seen)
	}
	if control == 0 || changes == 0 {
		t.Errorf("control: %d torn, %d changes: the writer was not seen", control, changes)
	}
}
