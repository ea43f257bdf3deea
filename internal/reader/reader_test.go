//go:build unix

package reader

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/ownerfile"
)

// owner makes an owner file and closes it at the end of the test.
func owner(t testing.TB) *ownerfile.File {
	t.Helper()
	sub, err := directory.Ensure(t.TempDir(), directory.Access{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := ownerfile.Create(sub, layout.Header{
		PID: uint32(os.Getpid()), ID: layout.NewID(), Start: time.Now().UnixNano(), Program: "test", Process: "p",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func appendFamily(t testing.TB, p *ownerfile.File, f *layout.Family) uint32 {
	t.Helper()
	number, ok := p.AppendFamily(f)
	for !ok {
		if err := p.Grow(); err != nil {
			t.Fatal(err)
		}
		number, ok = p.AppendFamily(f)
	}
	return number
}

// appendSeries appends a series whose cells hold the words given.
func appendSeries(t testing.TB, p *ownerfile.File, family uint32, values []string, words ...uint64) []atomic.Uint64 {
	t.Helper()
	var cells []atomic.Uint64
	use := func(c []atomic.Uint64) {
		cells = c
		for i, w := range words {
			c[i].Store(w)
		}
	}
	for !p.AppendSeries(family, 1, values, len(words), use) {
		if err := p.Grow(); err != nil {
			t.Fatal(err)
		}
	}
	return cells
}

func open(t testing.TB, path string) *File {
	t.Helper()
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

func load(t *testing.T, f *File) []uint64 {
	t.Helper()
	if err := f.Reopen(0); err != nil {
		t.Fatal(err)
	}
	if err := f.Refresh(); err != nil {
		t.Fatal(err)
	}
	values, err := f.Load()
	if err != nil {
		t.Fatal(err)
	}
	return values
}

func TestReadOn(t *testing.T) {
	p := owner(t)
	counters := appendFamily(t, p, &layout.Family{Type: layout.Counter, Name: "c_total", Help: "C.", LabelNames: []string{"a"}})
	first := appendSeries(t, p, counters, []string{"x"}, 3, 0)
	f := open(t, p.Path())
	if diff := cmp.Diff(load(t, f), []uint64{3, 0}); diff != "" {
		t.Errorf("first values (-got +want):\n%s", diff)
	}
	first[0].Add(1)
	for n := range 3000 { // over several slabs
		appendSeries(t, p, counters, []string{fmt.Sprint(n)}, uint64(n), 0)
	}
	want := []uint64{4, 0}
	for n := range 3000 {
		want = append(want, uint64(n), 0)
	}
	if diff := cmp.Diff(load(t, f), want); diff != "" {
		t.Errorf("values (-got +want):\n%s", diff)
	}
	if got, want := f.Entries()[3000].Values[0], "2999"; got != want {
		t.Errorf("label value %q, want %q", got, want)
	}
	if diff := cmp.Diff(load(t, open(t, p.Path())), want); diff != "" {
		t.Errorf("values read anew (-got +want):\n%s", diff)
	}
	h := p.Header()
	if diff := cmp.Diff(f.Header(), &h); diff != "" {
		t.Errorf("header (-got +want):\n%s", diff)
	}
}

func TestLongLabelValues(t *testing.T) {
	p := owner(t)
	counters := appendFamily(t, p, &layout.Family{Type: layout.Counter, Name: "c_total", Help: "C.", LabelNames: []string{"a"}})
	var want []string
	for n, length := range []int{1, 65_536, 3, 262_144, 5, 4 << 20} {
		value := strings.Repeat("x", length)
		want = append(want, value)
		appendSeries(t, p, counters, []string{value}, uint64(n), 0)
	}
	f := open(t, p.Path())
	for n, e := range f.Entries() {
		if e.Values[0] != want[n] {
			t.Errorf("value %d has %d bytes, want %d", n, len(e.Values[0]), len(want[n]))
		}
	}
	if got := len(f.Entries()); got != len(want) {
		t.Errorf("%d series, want %d", got, len(want))
	}
}

// A process killed between the steps of an observation left one of these.
func TestCommitGroupAfterEachStep(t *testing.T) {
	histogram := &layout.Family{Type: layout.Histogram, Name: "h", Help: "H.", Bounds: []float64{1, 2}}
	one, two := uint64(0x3ff0000000000000), uint64(0x4000000000000000)
	tests := []struct {
		name  string
		cells []uint64 // commit word, two sums, three buckets
		want  []uint64 // count, sum, three buckets; nil: refused
	}{
		{name: "nothing", cells: []uint64{0, 0, 0, 0, 0, 0}, want: []uint64{0, 0, 0, 0, 0}},
		{name: "sum written", cells: []uint64{0, 0, one, 0, 0, 0}, want: []uint64{0, 0, 0, 0, 0}},
		{name: "committed", cells: []uint64{layout.Commit(1, 0), 0, one, 0, 0, 0}, want: []uint64{1, one, 1, 0, 0}},
		{name: "bucket added", cells: []uint64{layout.Commit(1, 0), 0, one, 1, 0, 0}, want: []uint64{1, one, 1, 0, 0}},
		{name: "second sum written", cells: []uint64{layout.Commit(1, 0), two, one, 1, 0, 0}, want: []uint64{1, one, 1, 0, 0}},
		{name: "second committed", cells: []uint64{layout.Commit(2, 2), two, one, 1, 0, 0}, want: []uint64{2, two, 1, 0, 1}},
		{name: "a bucket too many", cells: []uint64{layout.Commit(1, 0), 0, one, 2, 0, 0}, want: nil},
		{name: "two buckets due", cells: []uint64{layout.Commit(2, 0), two, one, 0, 0, 0}, want: nil},
		{name: "bucket out of range", cells: []uint64{layout.Commit(1, 3), two, one, 0, 0, 0}, want: nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := owner(t)
			appendSeries(t, p, appendFamily(t, p, histogram), nil, test.cells...)
			f := open(t, p.Path())
			got, err := f.Load()
			if test.want == nil {
				if !errors.Is(err, layout.ErrDamaged) {
					t.Errorf("got %v, %v, want %v", got, err, layout.ErrDamaged)
				}
				return
			}
			if diff := cmp.Diff(got, test.want); diff != "" {
				t.Errorf("values (-got +want):\n%s", diff)
			}
		})
	}
}

func TestLiveness(t *testing.T) {
	p := owner(t)
	cells := appendSeries(t, p, appendFamily(t, p, &layout.Family{Type: layout.Counter, Name: "c_total", Help: "C."}), nil, 1, 0)
	f := open(t, p.Path())
	expect := func(want bool) {
		t.Helper()
		if got, err := f.Live(); err != nil || got != want {
			t.Errorf("live %v, %v, want %v", got, err, want)
		}
	}
	expect(true)
	expect(true) // the probe itself leaves no lock
	cells[0].Add(1)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	cells[0].Add(1) // late: it reaches memory that is nobody's
	expect(false)
	want := []uint64{2, 0}
	if diff := cmp.Diff(load(t, f), want); diff != "" {
		t.Errorf("values of the dead (-got +want):\n%s", diff)
	}
	f.Finish()
	got, err := f.Load()
	if err != nil || !cmp.Equal(got, want) {
		t.Errorf("after Finish: %v, %v, want %v", got, err, want)
	}
	expect(false)
}

func TestRefusedFiles(t *testing.T) {
	p := owner(t)
	appendSeries(t, p, appendFamily(t, p, &layout.Family{Type: layout.Counter, Name: "c_total", Help: "C."}), nil, 1, 0)
	whole, err := os.ReadFile(p.Path())
	if err != nil {
		t.Fatal(err)
	}
	write := func(b []byte) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	tests := []struct {
		name string
		make func(t *testing.T, path string)
		want error
	}{
		{name: "missing", make: func(*testing.T, string) {}, want: fs.ErrNotExist},
		{name: "empty", make: write(nil), want: layout.ErrDamaged},
		{name: "100 bytes of 0xff", make: write([]byte(strings.Repeat("\xff", 100))), want: layout.ErrDamaged},
		{name: "pages of 0xff", make: write([]byte(strings.Repeat("\xff", 1<<17))), want: layout.ErrForeign},
		{name: "cut to one page", make: write(whole[:4096]), want: layout.ErrDamaged},
		{name: "cut to two pages", make: write(whole[:8192]), want: layout.ErrDamaged},
		{name: "copy", make: write(whole), want: ErrCopy},
		{name: "symbolic link", make: func(t *testing.T, path string) {
			if err := os.Symlink(p.Path(), path); err != nil {
				t.Fatal(err)
			}
		}, want: directory.ErrRefused},
		{name: "hard link", make: func(t *testing.T, path string) {
			if err := os.Link(p.Path(), path); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.Remove(path) })
		}, want: ErrCopy},
		{name: "socket", make: func(t *testing.T, path string) {
			l, err := net.Listen("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = l.Close() })
		}, want: directory.ErrRefused},
		{name: "directory", make: func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, want: directory.ErrRefused},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(filepath.Dir(p.Path()), "1-"+layout.NewID().String()+layout.Extension)
			test.make(t, path)
			f, err := Open(path)
			if f != nil || !errors.Is(err, test.want) {
				t.Errorf("got %v, %v, want %v", f, err, test.want)
			}
			if err != nil && !strings.Contains(err.Error(), filepath.Base(path)) {
				t.Errorf("error %q does not name the file", err)
			}
		})
	}
}

func TestReplacedFile(t *testing.T) {
	p := owner(t)
	f := open(t, p.Path())
	if err := os.Remove(p.Path()); err != nil {
		t.Fatal(err)
	}
	if err := f.Reopen(0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("removed under an open descriptor: %v, want %v", err, fs.ErrNotExist)
	}
	f.Rest()
	if err := os.WriteFile(p.Path(), []byte("other"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.Reopen(0); !errors.Is(err, ErrReplaced) {
		t.Errorf("another file at the path: %v, want %v", err, ErrReplaced)
	}
}

// Somebody truncates the file while it is read: an error, not the end of the
// program.
func TestTruncatedWhileMapped(t *testing.T) {
	p := owner(t)
	appendSeries(t, p, appendFamily(t, p, &layout.Family{Type: layout.Counter, Name: "c_total", Help: "C."}), nil, 1, 0)
	f := open(t, p.Path())
	if err := os.Truncate(p.Path(), 8192); err != nil {
		t.Fatal(err)
	}
	if values, err := f.Load(); !errors.Is(err, layout.ErrDamaged) || !strings.Contains(err.Error(), "truncated") {
		t.Errorf("got %v, %v, want an error that says truncated", values, err)
	}
}

var update = flag.Bool("update", false, "write the golden file of a new format version")

// A file of format version 1, as it was written when that version was made,
// is read for ever.
func TestGoldenFile(t *testing.T) {
	golden := filepath.Join("testdata", "v1.mpm")
	if *update {
		writeGolden(t, golden)
	}
	b, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	// A checkout may belong to anybody, and a file has to be its reader's.
	path := filepath.Join(t.TempDir(), "v1.mpm")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	f, _, err := directory.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	s, err := readSnapshot(f, metas{})
	if err != nil {
		t.Fatal(err)
	}
	// It is a copy, which Open refuses: its inode is another one.
	r := &File{path: path, f: f, size: st.Size, inode: s.header.Inode, slabs: map[uint32]*slab{}, numbers: map[uint32]int{}}
	defer r.Close()
	if err := r.Refresh(); err != nil {
		t.Fatal(err)
	}
	values, err := r.Load()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(values, goldenValues); diff != "" {
		t.Errorf("values (-got +want):\n%s", diff)
	}
	var names []string
	for _, f := range r.Families() {
		names = append(names, f.Type.String()+" "+f.Name)
	}
	if diff := cmp.Diff(names, []string{"counter c_total", "histogram h", "gauge g", "gauge t", "summary s"}); diff != "" {
		t.Errorf("families (-got +want):\n%s", diff)
	}
	if got, want := r.Header().Program, "golden"; got != want {
		t.Errorf("program %q, want %q", got, want)
	}
}

var goldenValues = []uint64{
	7, 0x3ff8000000000000, // counter: 7 and 1.5
	2, 0x4008000000000000, 1, 1, 0, // histogram: 2 observations, sum 3
	layout.EncodeGauge(0),
	1, 0x4000000000000000, 99, // most-recent gauge: set once, to 2, at 99 ns
	3, 0x4018000000000000, // summary: 3 observations, sum 6
}

func writeGolden(t *testing.T, path string) {
	t.Helper()
	sub, err := directory.Ensure(t.TempDir(), directory.Access{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := ownerfile.Create(sub, layout.Header{PID: 4711, Start: 1, BootID: "boot", Host: "host", Program: "golden", Process: "p"})
	if err != nil {
		t.Fatal(err)
	}
	one, two, three, six := uint64(0x3ff0000000000000), uint64(0x4000000000000000), uint64(0x4008000000000000), uint64(0x4018000000000000)
	appendSeries(t, p, appendFamily(t, p, &layout.Family{Type: layout.Counter, Name: "c_total", Help: "C.", LabelNames: []string{"a"}}), []string{"x"}, 7, 0x3ff8000000000000)
	// Killed between the second and the third step: a bucket is due one more.
	appendSeries(t, p, appendFamily(t, p, &layout.Family{Type: layout.Histogram, Name: "h", Help: "H.", Bounds: []float64{1, 2}}), nil, layout.Commit(2, 1), three, one, 1, 0, 0)
	appendSeries(t, p, appendFamily(t, p, &layout.Family{Type: layout.Gauge, Mode: layout.Sum, Name: "g", Help: "G."}), nil, layout.EncodeGauge(0))
	appendSeries(t, p, appendFamily(t, p, &layout.Family{Type: layout.Gauge, Mode: layout.MostRecent, Name: "t", Help: "T."}), nil, layout.Commit(1, 0), 0, two, 0, 99)
	appendSeries(t, p, appendFamily(t, p, &layout.Family{Type: layout.Summary, Name: "s", Help: "S."}), nil, layout.Commit(3, 0), 0, six)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(p.Path())
	if err == nil {
		err = os.WriteFile(path, b, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// The file grows between the moment its length is taken and the reading of its
// metas: that is no damage.
func TestGrownSinceItWasOpened(t *testing.T) {
	p := owner(t)
	family := appendFamily(t, p, &layout.Family{Type: layout.Counter, Name: "c_total", Help: "C.", LabelNames: []string{"a"}})
	f := open(t, p.Path())
	appendSeries(t, p, family, []string{strings.Repeat("x", 1<<20)}, 1, 0)
	if err := f.Refresh(); err != nil { // without Reopen
		t.Error(err)
	}
	if got, want := len(f.Entries()), 1; got != want {
		t.Errorf("%d series, want %d", got, want)
	}
}

// What a failed loading leaves behind is what the last good one returned.
func TestFailedLoadKeepsTheLastGoodValues(t *testing.T) {
	p := owner(t)
	counters := appendSeries(t, p, appendFamily(t, p, &layout.Family{Type: layout.Counter, Name: "c_total", Help: "C."}), nil, 1, 0)
	cells := appendSeries(t, p, appendFamily(t, p, &layout.Family{Type: layout.Histogram, Name: "h", Help: "H."}), nil, layout.Commit(1, 0), 0, 0, 1)
	f := open(t, p.Path())
	good := load(t, f)
	want := []uint64{1, 0, 1, 0, 1}
	counters[0].Add(1)
	cells[layout.BucketWord].Add(5) // never to be accepted
	if _, err := f.Load(); !errors.Is(err, layout.ErrDamaged) {
		t.Fatalf("got %v, want %v", err, layout.ErrDamaged)
	}
	if diff := cmp.Diff(good, want); diff != "" {
		t.Errorf("values (-got +want):\n%s", diff)
	}
}
