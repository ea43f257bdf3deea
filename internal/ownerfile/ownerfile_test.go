//go:build unix

package ownerfile

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/gofrs/flock"
	"go.etcd.io/bbolt"

	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/mapped"
	"github.com/mpmetrics/mpmetrics/internal/testing/effort"
)

func create(t *testing.T) *File {
	t.Helper()
	sub, err := directory.Ensure(t.TempDir(), directory.Access{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := Create(sub, layout.Header{PID: uint32(os.Getpid()), ID: layout.NewID()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func grow(t *testing.T, p *File) {
	t.Helper()
	if err := p.Grow(); err != nil {
		t.Fatal(err)
	}
}

// series appends a series of a counter and returns its cells.
func series(t *testing.T, p *File, family uint32, value string) []atomic.Uint64 {
	t.Helper()
	var cells []atomic.Uint64
	for !p.AppendSeries(family, 1, []string{value}, layout.CounterWords, func(c []atomic.Uint64) { cells = c }) {
		grow(t, p)
	}
	return cells
}

func counterFamily(t *testing.T, p *File) uint32 {
	t.Helper()
	number, ok := p.AppendFamily(&layout.Family{Type: layout.Counter, Name: "c_total", LabelNames: []string{"a"}})
	if !ok {
		t.Fatal("no room for the first family")
	}
	return number
}

func TestCreate(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o777)) // the worst there is
	p := create(t)
	st, err := os.Stat(p.Path())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := st.Mode().Perm(), fs.FileMode(0o400); got != want {
		t.Errorf("mode %v, want %v", got, want)
	}
	names, err := os.ReadDir(filepath.Dir(p.Path()))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(names), 1; got != want {
		t.Errorf("%d files, want %d: %v", got, want, names)
	}
	if h := p.Header(); h.Inode != st.Sys().(*syscall.Stat_t).Ino {
		t.Errorf("inode %d in the header, want that of the file", h.Inode)
	}
}

// The lock is an ordinary flock: other tools see that somebody owns the file.
func TestLockUntilClose(t *testing.T) {
	p := create(t)
	other := flock.New(p.Path(), flock.SetFlag(os.O_RDONLY))
	defer other.Close()
	if got, err := other.TryRLock(); got || err != nil {
		t.Errorf("shared lock of an owned file: %v, %v, want false", got, err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := other.TryRLock(); !got || err != nil {
		t.Errorf("shared lock after Close: %v, %v, want true", got, err)
	}
	if p.AppendSeries(0, 1, nil, 2, func([]atomic.Uint64) {}) {
		t.Error("a series was appended after Close")
	}
}

func TestFailedCreateLeavesNothing(t *testing.T) {
	sub := filepath.Join(t.TempDir(), "missing")
	if _, err := Create(sub, layout.Header{PID: 1}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want %v", err, fs.ErrNotExist)
	}
	if _, err := os.Stat(sub); err == nil {
		t.Error("something was made")
	}
}

// A ten-series process takes little disk, and its cells do not share a cache
// line with what they should not.
func TestSmallFile(t *testing.T) {
	p := create(t)
	family := counterFamily(t, p)
	for n := range 10 {
		series(t, p, family, fmt.Sprint(n))
	}
	grow(t, p) // would be in the background
	st, err := os.Stat(p.Path())
	if err != nil {
		t.Fatal(err)
	}
	allocated := st.Sys().(*syscall.Stat_t).Blocks * 512
	if got, want := allocated, int64(60<<10); got > want {
		t.Errorf("%d bytes allocated for ten series, want at most %d", got, want)
	}
}

func TestCellAlignment(t *testing.T) {
	p := create(t)
	for range 200 {
		words := 1 + rand.IntN(20)
		var at uintptr
		for !p.AppendSeries(0, 1, nil, words, func(c []atomic.Uint64) {
			if len(c) != words {
				t.Errorf("%d cells, want %d", len(c), words)
			}
			at = address(c)
		}) {
			grow(t, p)
		}
		if align := uintptr(layout.CellAlignment(words) * layout.WordBytes); at%align != 0 {
			t.Errorf("%d cells at %#x, want a multiple of %d", words, at, align)
		}
	}
}

// Slabs stay where they are under heavy churn of everything else in the
// file, and no increment is lost meanwhile. The control, a slab whose bucket is
// touched, moves, and Grow notices.
func TestSlabsStayUnderChurn(t *testing.T) {
	transactions := 2_000
	if effort.Soak() {
		transactions = 100_000
	}
	p := create(t)
	family := counterFamily(t, p)
	var cells [][]atomic.Uint64
	for n := range 100 {
		cells = append(cells, series(t, p, family, strings.Repeat("x", n*37)))
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	added := make([]uint64, 4)
	for g := range added {
		wg.Go(func() {
			for n := g; ; n += len(added) {
				select {
				case <-stop:
					return
				default:
				}
				cells[n%len(cells)][0].Add(1)
				added[g]++
			}
		})
	}
	random := rand.New(rand.NewPCG(1, 2))
	slabs := 0
	for n := range transactions {
		err := p.db.Update(func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte("churn"))
			if err != nil {
				return err
			}
			key := []byte(fmt.Sprint(random.IntN(50)))
			if random.IntN(3) == 0 {
				return b.Delete(key)
			}
			return b.Put(key, make([]byte, random.IntN(20_000)))
		})
		if err != nil {
			t.Fatal(err)
		}
		if n%(transactions/50) == 0 {
			// A record that does not fit into what is left makes a slab.
			series(t, p, family, strings.Repeat("y", 600_000+random.IntN(400_000)))
			slabs = len(p.slabs)
		}
	}
	close(stop)
	wg.Wait()
	if slabs < 30 {
		t.Errorf("%d slabs, want more for the test to mean something", slabs)
	}
	// The file is read anew, not through the mapping that was written.
	var got, want uint64
	err := p.db.View(func(tx *bbolt.Tx) error {
		for _, s := range p.slabs {
			at, err := offset(tx, s)
			if err != nil || at != s.offset {
				return fmt.Errorf("slab %d from %d to %d: %w", s.header.Number, s.offset, at, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	for _, c := range cells {
		got += c[0].Load()
	}
	for _, n := range added {
		want += n
	}
	if got != want {
		t.Errorf("%d increments, want %d", got, want)
	}

	// Control.
	err = p.db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.Bucket(layout.SlabBucket(p.slabs[0].header.Number)).NextSequence()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; err == nil && n < 1000; n++ {
		if !p.AppendSeries(family, 1, []string{strings.Repeat("z", 300_000)}, 2, func([]atomic.Uint64) {}) {
			err = p.Grow()
		}
	}
	if !errors.Is(err, ErrMoved) {
		t.Errorf("after NextSequence on a slab's bucket: %v, want %v", err, ErrMoved)
	}
	t.Logf("%d transactions, %d slabs, %d increments", transactions, slabs, got)
}

// A full file system is an error of Grow, and nothing else changes.
func TestGrowFails(t *testing.T) {
	p := create(t)
	family := counterFamily(t, p)
	series(t, p, family, "before")
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	small := limit
	small.Cur = 48 << 10
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &small); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			t.Fatal(err)
		}
	}()
	long := []string{strings.Repeat("x", 100_000)}
	none := func([]atomic.Uint64) { t.Error("cells were given out") }
	if p.AppendSeries(family, 1, long, 2, none) {
		t.Fatal("there was room")
	}
	if err := p.Grow(); !errors.Is(err, syscall.EFBIG) {
		t.Errorf("got %v, want %v", err, syscall.EFBIG)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	grow(t, p)
	if !p.AppendSeries(family, 1, long, 2, func([]atomic.Uint64) {}) {
		t.Error("no room after the limit was lifted")
	}
}

func address(c []atomic.Uint64) uintptr {
	var at uintptr
	_, _ = fmt.Sscanf(fmt.Sprintf("%p", &c[0]), "0x%x", &at)
	return at
}

// No memory to map with, again and again: the file does not grow with each try.
func TestMapFails(t *testing.T) {
	p := create(t)
	family := counterFamily(t, p)
	for n := range 50 {
		series(t, p, family, fmt.Sprint(n, strings.Repeat("x", 500)))
	}
	real := p.mapWrite
	p.mapWrite = func(int, string, int64, int) (*mapped.Region, error) { return nil, syscall.ENOMEM }
	size := func() int64 {
		st, err := os.Stat(p.Path())
		if err != nil {
			t.Fatal(err)
		}
		return st.Size()
	}
	value := strings.Repeat("y", 100_000)
	if p.AppendSeries(family, 1, []string{value}, 2, func([]atomic.Uint64) {}) {
		t.Fatal("there was room")
	}
	if err := p.Grow(); !errors.Is(err, syscall.ENOMEM) {
		t.Fatalf("got %v, want %v", err, syscall.ENOMEM)
	}
	before := size()
	for range 20 {
		if err := p.Grow(); !errors.Is(err, syscall.ENOMEM) {
			t.Errorf("got %v, want %v", err, syscall.ENOMEM)
		}
	}
	if got := size(); got != before {
		t.Errorf("the file grew from %d to %d bytes", before, got)
	}
	p.mapWrite = real
	series(t, p, family, value)
}
