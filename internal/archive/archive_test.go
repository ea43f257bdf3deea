//go:build unix

package archive

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
)

func header() layout.Header { return layout.Header{PID: 1, Start: 1, BootID: "boot"} }

// sample is an archive with everything there is. A value of n bytes makes it as
// large as one likes.
func sample(n int) *Archive {
	a := New()
	a.Epoch = 7
	a.State = layout.State{Begun: 1, Horizon: 2, Last: 3, Absorbed: 4, Quarantined: 5, Forgotten: 6, Unabsorbed: 7, Aside: 8}
	families := []*layout.Family{
		{Type: layout.Counter, Name: "c_total", LabelNames: []string{"l"}},
		{Type: layout.Histogram, Name: "h", Bounds: []float64{1, 2}},
		{Type: layout.Gauge, Mode: layout.MostRecent, Name: "g"},
		{Type: layout.Gauge, Mode: layout.All, Name: "a", LabelNames: []string{"l"}},
	}
	values := []uint64{3, 0, 6, 0, 1, 2, 3, 1, 0, 99, layout.EncodeGauge(5)}
	inputs := []merge.Input{
		{Family: 0, Values: []string{strings.Repeat("x", n)}, Created: 10},
		{Family: 1, At: 2, Created: 11},
		{Family: 2, At: 7, Created: 12},
		{Family: 3, At: 10, Values: []string{"y"}, Created: 13},
	}
	for i := range 3 {
		id := layout.NewID()
		a.Ledger.Absorb(merge.Process{ID: id, Start: int64(i), Label: fmt.Sprint(i)}, families, inputs, values, nil, 100)
		a.Record(layout.Absorbed{ID: id, Start: int64(i), Time: 100})
	}
	a.SetOpen([]layout.ID{layout.NewID(), layout.NewID()})
	return a
}

// restarted is an archive after a restart of totals: with what only the archive of a directory has.
func restarted(n int) *Archive {
	a := sample(n)
	a.Uptimes = layout.Uptimes{Begun: 9, Horizon: 10}
	families := []*layout.Family{
		{Type: layout.Counter, Name: "c_total", LabelNames: []string{"l"}},
		{Type: layout.NativeHistogram, Name: "n", Bounds: []float64{1}},
	}
	inputs := []merge.Input{{Values: []string{"x"}, Created: 10}, {Family: 1, At: 2, Created: 14}}
	values := []uint64{3, 0, 2, 0, 1, 1}
	natives := map[int]*layout.Native{1: {Schema: 1, Zero: 1, Positive: []layout.NativeBucket{{Index: 1, Count: 1}}}}
	a.Ledger.Bases[layout.NewID()] = merge.NewBase(families, inputs, values, natives)
	a.Ledger.Bases[layout.NewID()] = &merge.Base{Whole: true}
	return a
}

// records are the payloads of an archive.
func records(t testing.TB, a *Archive) [][]byte {
	t.Helper()
	var all [][]byte
	for payload, err := range a.Records() {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, slices.Clone(payload))
	}
	return all
}

// publishFile publishes a file in the directory at a path.
func publishFile(dir, temporary string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return Publish(root, temporary, false)
}

func publish(t testing.TB, dir string, a *Archive) {
	t.Helper()
	temporary, err := a.Write(dir, header())
	if err == nil {
		err = Sync(dir, temporary)
	}
	if err == nil {
		err = publishFile(dir, temporary)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestRoundTrip(t *testing.T) {
	for _, n := range []int{0, 100, 1 << 20, layout.MaxLabelBytes} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			dir := t.TempDir()
			a := restarted(n)
			publish(t, dir, a)
			b, err := Open(dir, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			if !slices.EqualFunc(records(t, a), records(t, b), slices.Equal) {
				t.Error("other records were read than were written")
			}
			if b.Generation != a.Generation || b.Epoch != 7 || b.BootID != "boot" || b.Size == 0 || b.Size != a.Size || !b.Exists() {
				t.Errorf("generation %v, want %v; epoch %d, boot %q, size %d, want %d", b.Generation, a.Generation, b.Epoch, b.BootID, b.Size, a.Size)
			}
			for _, known := range []*Archive{nil, b} {
				if epoch, err := Epoch(dir, known); err != nil || epoch != 7 {
					t.Errorf("epoch %d, %v", epoch, err)
				}
			}
			names, err := os.ReadDir(dir)
			if err != nil || len(names) != 2 { // and what says that there was one
				t.Errorf("directory %v, %v", names, err)
			}
			if again, err := Open(dir, b); err != nil || again != b {
				t.Errorf("the same archive was read again: %v", err)
			}
			publish(t, dir, a)
			a.Epoch++
			publish(t, dir, a)
			if epoch, err := Epoch(dir, b); err != nil || epoch != 8 {
				t.Errorf("epoch of another archive: %d, %v", epoch, err)
			}
			again, err := Open(dir, b)
			if err != nil || again == b || again.Generation == b.Generation {
				t.Fatalf("another archive was not read: %v", err)
			}
			again.Close()
		})
	}
}

// An archive of many slabs has all of its records.
func TestManySlabs(t *testing.T) {
	dir := t.TempDir()
	a := New()
	f := &layout.Family{Type: layout.Counter, Name: "c_total", LabelNames: []string{"l"}}
	const series = 50_000
	inputs, values := make([]merge.Input, series), make([]uint64, 2*series)
	for i := range inputs {
		inputs[i] = merge.Input{Values: []string{fmt.Sprintf("value %d", i)}, At: 2 * i}
		values[2*i] = uint64(i)
	}
	a.Ledger.Absorb(merge.Process{}, []*layout.Family{f}, inputs, values, nil, 1)
	publish(t, dir, a)
	b, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if b.Ledger.Series() != series || !slices.EqualFunc(records(t, a), records(t, b), slices.Equal) {
		t.Errorf("%d series, want %d", b.Ledger.Series(), series)
	}
	if b.Size < 2<<20 {
		t.Errorf("%d bytes: all in one slab?", b.Size)
	}
}

func TestNone(t *testing.T) {
	a, err := Read(t.TempDir())
	if err != nil || a.Exists() || a.Epoch != 0 {
		t.Errorf("%+v, %v", a, err)
	}
	if epoch, err := Epoch(filepath.Join(t.TempDir(), "missing"), nil); err != nil || epoch != 0 {
		t.Errorf("epoch %d, %v", epoch, err)
	}
}

// began is the header of a process whose file names no boot.
func began(id layout.ID, start int64) *layout.Header { return &layout.Header{ID: id, Start: start} }

// The wall clock was set, so a process looks older or younger than the process is. The uptime tells.
func TestProcessesByUptime(t *testing.T) {
	const second = int64(time.Second)
	for _, c := range []struct {
		name    string
		archive string // boot of the writing
		now     string
		process string
		start   int64 // seconds
		want    bool
	}{
		{name: "before, the clock is right", archive: "k@1000", now: "k@1000", process: "k@1000", start: 1100, want: true},
		{name: "before, the clock was ahead", archive: "k@1000", now: "k@1000", process: "k@90000", start: 90100, want: true},
		{name: "after, the clock is right", archive: "k@1000", now: "k@1000", process: "k@1000", start: 1300},
		{name: "after, the clock was behind", archive: "k@1000", now: "k@1000", process: "k@10", start: 310},
		{name: "after, the clock was set meanwhile", archive: "k@1000", now: "k@10", process: "k@10@1000", start: 310},
		{name: "after another boot, the clock is behind", archive: "j@1000", now: "k@10", process: "k@10", start: 15},
		{name: "of an earlier boot", archive: "k@1000", now: "k@1000", process: "j@10", start: 310, want: true},
		{name: "of an earlier boot, later", archive: "k@1000", now: "k@1000", process: "j@10", start: 1250},
		{name: "without a moment", archive: "k@1000", now: "k@1000", process: "k", start: 310, want: true},
		{name: "boot unknown", archive: "k@1000", process: "k@10", start: 310, want: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := New()
			a.BootID, a.Boot, a.Now = c.archive, c.now, 5000*second
			a.State.Horizon, a.State.Begun = 1200*second, 1200*second
			a.Uptimes = layout.Uptimes{Begun: 200 * second, Horizon: 200 * second}
			a.Ledger.Bases[layout.ID{}] = &merge.Base{Whole: true}
			h := &layout.Header{ID: layout.NewID(), Start: c.start * second, BootID: c.process}
			if got := a.Returned(h); got != c.want {
				t.Errorf("returned from a backup: %v, want %v", got, c.want)
			}
			if got := a.Pruned(h); got != c.want {
				t.Errorf("absorbed long ago: %v, want %v", got, c.want)
			}
			if got := a.Base(h) != nil; got != c.want {
				t.Errorf("has a base: %v, want %v", got, c.want)
			}
		})
	}
}

// Without a pruned id in this boot nobody is older than one.
func TestNothingPrunedInThisBoot(t *testing.T) {
	a := New()
	a.Enter("k@1000")
	a.State.Horizon = int64(time.Hour)
	if h := (&layout.Header{ID: layout.NewID(), BootID: "k@1000"}); a.Returned(h) || a.Pruned(h) {
		t.Error("a process of this boot is taken for one from a backup")
	}
}

// Uptimes are those of one boot.
func TestUptimesEndWithTheirBoot(t *testing.T) {
	a := New()
	a.Enter("k@1000")
	a.Record(layout.Absorbed{ID: layout.NewID(), Start: 10, Time: 100})
	if a.Prune(200, 50, func(layout.ID) bool { return false }) != 1 || a.Uptimes.Horizon != 50 {
		t.Errorf("horizon %d, want 50", a.Uptimes.Horizon)
	}
	a.Enter("k@1000")
	if a.Uptimes.Horizon != 50 {
		t.Errorf("horizon %d in the same boot, want 50", a.Uptimes.Horizon)
	}
	a.Enter("l@9000")
	if a.Uptimes != (layout.Uptimes{}) || a.BootID != "l@9000" {
		t.Errorf("uptimes %v in boot %q", a.Uptimes, a.BootID)
	}
}

func TestIDs(t *testing.T) {
	a := New()
	ids := make([]layout.ID, 5)
	for i := range ids {
		ids[i] = layout.NewID()
		a.Record(layout.Absorbed{ID: ids[i], Start: int64(10 * i), Time: int64(100 + i)})
	}
	a.Record(layout.Absorbed{ID: ids[0], Start: 0, Time: 100}) // once more
	if a.AbsorbedIDs() != 5 || a.Oldest() != 100 {
		t.Errorf("%d ids, the oldest of %d", a.AbsorbedIDs(), a.Oldest())
	}
	open := layout.NewID()
	a.SetOpen([]layout.ID{open})
	if n := a.Prune(103, 50, func(id layout.ID) bool { return id == ids[1] }); n != 2 || a.Epoch != 1 || a.Horizon != 20 {
		t.Errorf("%d ids pruned, epoch %d, horizon %d; want 2, 1, 20", n, a.Epoch, a.Horizon)
	}
	for i, id := range ids {
		pruned := i == 0 || i == 2
		if a.Holds(id) == pruned || a.Returned(began(id, int64(10*i))) != pruned {
			t.Errorf("id %d: held %v, returned %v; pruned: %v", i, a.Holds(id), a.Returned(began(id, int64(10*i))), pruned)
		}
	}
	if a.Returned(began(open, 5)) || !a.Open(open) {
		t.Error("a process that was there is taken for one that came back")
	}
	if !a.Returned(began(layout.NewID(), 20)) || a.Returned(began(layout.NewID(), 21)) {
		t.Error("the horizon does not tell old from new")
	}
	if a.Prune(103, 50, func(id layout.ID) bool { return id == ids[1] }) != 0 || a.Epoch != 1 {
		t.Error("nothing was pruned, and the epoch moved")
	}
}

// Each rule of the log of an archive, broken once.
func TestDamaged(t *testing.T) {
	whole := records(t, restarted(1))
	at := func(kind layout.RecordKind) int {
		return slices.IndexFunc(whole, func(b []byte) bool { return b[0] == byte(kind) })
	}
	twice := func(kind layout.RecordKind) [][]byte {
		return slices.Insert(slices.Clone(whole), at(kind), whole[at(kind)])
	}
	without := func(kind layout.RecordKind) [][]byte {
		return slices.DeleteFunc(slices.Clone(whole), func(b []byte) bool { return b[0] == byte(kind) })
	}
	for name, log := range map[string][][]byte{
		"empty":            nil,
		"no state":         whole[1:],
		"two states":       twice(layout.StateRecord),
		"two uptimes":      twice(layout.UptimesRecord),
		"family twice":     twice(layout.FamilyRecord),
		"no families":      without(layout.FamilyRecord),
		"total twice":      twice(layout.TotalRecord),
		"dead twice":       twice(layout.DeadRecord),
		"no dead":          without(layout.DeadRecord),
		"ids twice":        twice(layout.AbsorbedRecord),
		"open ids twice":   twice(layout.OpenRecord),
		"series of a file": append(slices.Clone(whole), layout.AppendSeries(nil, &layout.Series{})),
	} {
		if _, err := decode(log); !errors.Is(err, layout.ErrDamaged) {
			t.Errorf("%s: %v, want %v", name, err, layout.ErrDamaged)
		}
	}
	if _, err := decode(whole); err != nil {
		t.Errorf("as it is: %v", err)
	}
}

func decode(log [][]byte) (*Archive, error) {
	d := NewDecoder(&layout.Header{})
	for _, payload := range log {
		r, err := layout.DecodeRecord(payload)
		if err == nil {
			err = d.Take(r)
		}
		if err != nil {
			return nil, err
		}
	}
	return d.Archive()
}

// A file of a process in the place of the archive is not taken for one.
func TestOtherFiles(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, layout.ArchiveName), []byte("no archive"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(dir); !errors.Is(err, layout.ErrDamaged) && !errors.Is(err, layout.ErrForeign) {
		t.Errorf("got %v", err)
	}
	if err := os.Remove(filepath.Join(dir, layout.ArchiveName)); err != nil {
		t.Fatal(err)
	}
	if _, err := New().Write(filepath.Join(dir, "missing"), header()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want %v", err, fs.ErrNotExist)
	}
}

func FuzzDecoder(f *testing.F) {
	for _, payload := range records(f, restarted(3)) {
		f.Add(payload)
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		log := append(records(t, restarted(3)), payload)
		a, err := decode(log)
		if err != nil {
			if !errors.Is(err, layout.ErrDamaged) {
				t.Fatalf("error %v does not wrap %v", err, layout.ErrDamaged)
			}
			return
		}
		if again, err := decode(records(t, a)); err != nil || !slices.EqualFunc(records(t, a), records(t, again), slices.Equal) {
			t.Errorf("written and read again it is another archive: %v", err)
		}
	})
}

// The longest series that a process may have has room for a total beside it.
func TestLongestRecord(t *testing.T) {
	dir := t.TempDir()
	bounds := make([]float64, 4000)
	for i := range bounds {
		bounds[i] = float64(i)
	}
	f := &layout.Family{Type: layout.Histogram, Name: "h", LabelNames: []string{"a", "b", "c", "d"}, Bounds: bounds}
	longest := strings.Repeat("x", layout.MaxLabelBytes)
	values := make([]uint64, f.ValueWords())
	for i := range values {
		values[i] = 1 << 62
	}
	a := New()
	a.Ledger.Absorb(merge.Process{}, []*layout.Family{f}, []merge.Input{{Values: []string{longest, longest, longest, longest[100:]}}}, values, nil, 1)
	publish(t, dir, a)
	if b, err := Read(dir); err != nil || b.Ledger.Series() != 1 {
		t.Errorf("%v", err)
	}
}
