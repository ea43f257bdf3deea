//go:build unix

package reader

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/testing/damage"
)

// memory is a file that is not there.
type memory struct{ *bytes.Reader }

func memoryOf(file []byte) memory { return memory{bytes.NewReader(file)} }

func (m memory) Size() (int64, error) { return m.Reader.Size(), nil }

// FuzzPages lets the fuzzer damage what bbolt holds: by a class of damage, and by
// a script that changes bytes and makes checksums right. What is accepted lies in the file,
// and is the same whenever it is read.
func FuzzPages(f *testing.F) {
	p := owner(f)
	appendSeries(f, p, appendFamily(f, p, &layout.Family{Type: layout.Counter, Name: "c_total", Help: "C."}), nil, 1, 0)
	if err := p.Close(); err != nil {
		f.Fatal(err)
	}
	files := [][]byte{readFile(f, "testdata/v1.mpm"), readFile(f, p.Path())}
	for class := range damage.Classes {
		f.Add(byte(class), byte(class), []byte{})
	}
	for _, script := range [][]byte{damage.Cut(32 << 8), damage.Meta(16, 3), damage.Meta(40, 1<<40), damage.Meta(8, 1<<16), damage.Write(2<<12, 2)} {
		f.Add(byte(0), byte(0), script)
	}
	// Not the file itself: the fuzzer would spend its time on making it shorter.
	f.Fuzz(func(t *testing.T, class, seed byte, script []byte) {
		file := slices.Clone(files[seed%2])
		file = damage.Classes[int(class)%len(damage.Classes)].Do(rand.New(rand.NewPCG(uint64(seed), 1)), file)
		file = damage.Perform(script, file)
		var s *snapshot
		var err error
		damage.Bounded(t, "snapshot", func() { s, err = readSnapshot(memoryOf(file), metas{}) })
		if err != nil {
			if s != nil || !known(err) {
				t.Errorf("got %v, and an error of no known kind: %v", s, err)
			}
			return
		}
		for _, place := range s.slabs {
			end := place.offset + int64(place.header.Bytes)
			if place.offset%layout.ValueOffset != 0 || end > int64(len(file)) {
				t.Fatalf("slab %d from %d to %d in a file of %d", place.header.Number, place.offset, end, len(file))
			}
			if h, err := layout.DecodeSlab(file[place.offset:]); err != nil || h != place.header {
				t.Errorf("slab at %d is %+v, %v, want %+v", place.offset, h, err, place.header)
			}
		}
		if again, err := readSnapshot(memoryOf(file), s.metas); again != nil || err != nil {
			t.Errorf("read on from the same: %v, %v, want nothing new", again, err)
		}
		again, err := readSnapshot(memoryOf(file), metas{})
		if diff := cmp.Diff(again, s, cmp.AllowUnexported(snapshot{}, metas{}, place{})); diff != "" || err != nil {
			t.Errorf("read again: %v (-got +want):\n%s", err, diff)
		}
	})
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// known reports whether an error says what is wrong with a file.
func known(err error) bool {
	return slices.ContainsFunc([]error{layout.ErrForeign, layout.ErrVersion, layout.ErrByteOrder, layout.ErrDamaged, layout.ErrLimit},
		func(kind error) bool { return errors.Is(err, kind) })
}
