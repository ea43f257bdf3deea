//go:build unix

package salvage

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/internal/archive"
	"github.com/mpmetrics/mpmetrics/internal/boot"
	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
	"github.com/mpmetrics/mpmetrics/internal/mirror"
	"github.com/mpmetrics/mpmetrics/internal/ownerfile"
	"github.com/mpmetrics/mpmetrics/internal/reader"
)

// made is a file of a process that has ended, and what it has counted.
type made struct {
	path, sub string
	header    layout.Header
	values    map[string][]uint64 // by series
}

// seriesCount fills several slabs.
const seriesCount = 3000

func newFile(t *testing.T) *made {
	t.Helper()
	sub, err := directory.Ensure(t.TempDir(), directory.Access{})
	if err != nil {
		t.Fatal(err)
	}
	m := &made{sub: sub, header: layout.Header{PID: 4711, ID: layout.NewID(), Start: time.Now().UnixNano(), BootID: boot.ID(), Host: "h", Program: "shop", Process: "p"}}
	p, err := ownerfile.Create(sub, m.header)
	if err != nil {
		t.Fatal(err)
	}
	m.path = p.Path()
	families := []*layout.Family{
		{Type: layout.Counter, Name: "orders_total", Help: "h", LabelNames: []string{"n"}},
		{Type: layout.Histogram, Name: "latency_seconds", Help: "h", LabelNames: []string{"n"}, Bounds: []float64{1, 2}},
		{Type: layout.Gauge, Mode: layout.Max, Name: "peak", Help: "h", LabelNames: []string{"n"}},
	}
	for _, f := range families {
		if err := grown(p, func() bool { _, ok := p.AppendFamily(f); return ok }); err != nil {
			t.Fatal(err)
		}
	}
	for n := range seriesCount {
		f := families[n%3]
		cells := make([]uint64, f.CellWords())
		switch f.Type {
		case layout.Counter:
			cells[0], cells[1] = uint64(n), math.Float64bits(0.5)
		case layout.Histogram:
			cells[layout.CommitWord], cells[layout.SlotWord], cells[layout.BucketWord+1] = layout.Commit(2, 1), math.Float64bits(3), 2
		default:
			cells[0] = layout.EncodeGauge(float64(n))
		}
		use := func(to []atomic.Uint64) {
			for i, c := range cells {
				to[i].Store(c)
			}
		}
		err := grown(p, func() (ok bool) {
			if n%9 == 0 && f.Type == layout.Counter {
				_, ok = p.AppendDeleted(uint32(n%3), int64(1000+n), []string{fmt.Sprint(n)}, len(cells), use)
				return ok
			}
			return p.AppendSeries(uint32(n%3), int64(1000+n), []string{fmt.Sprint(n)}, len(cells), use)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	family := &dto.MetricFamily{Name: new("jobs_total"), Help: new("h"), Type: dto.MetricType_COUNTER.Enum(), Metric: []*dto.Metric{{Counter: &dto.Counter{Value: new(7.0)}}}}
	b, err := mirror.Encode(family, 0)
	if err == nil {
		err = p.Mirror(ownerfile.Mirrored{Families: map[string][]byte{"jobs_total": b}})
	}
	if err == nil {
		err = p.Close()
	}
	if err == nil {
		err = os.Chmod(m.path, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	m.values = valuesOf(t, m.path)
	if len(m.values) != seriesCount+1 {
		t.Fatalf("%d series", len(m.values))
	}
	return m
}

// valuesOf reads a file as everybody does.
func valuesOf(t *testing.T, path string) map[string][]uint64 {
	t.Helper()
	f, err := reader.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	values, err := f.Load()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]uint64{}
	for _, e := range f.Entries() {
		family := f.Families()[e.Family]
		out[fmt.Sprint(family.Name, e.Values, e.Created, e.Share)] = append([]uint64{}, values[e.At:e.At+family.ValueWords()]...)
	}
	return out
}

// change changes the bytes of the file.
func (m *made) change(t *testing.T, f func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(m.path)
	if err == nil {
		err = os.WriteFile(m.path, f(b), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// page overwrites a page.
func page(n int, with byte) func([]byte) []byte {
	return func(b []byte) []byte {
		for i := range layout.PageSize {
			b[n*layout.PageSize+i] = with + byte(i%7)
		}
		return b
	}
}

// at is where a text stands in the file for the n-th time.
func at(b []byte, text string) int {
	i := strings.Index(string(b), text)
	if i < 0 {
		panic("no " + text)
	}
	return i
}

func TestRepair(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func([]byte) []byte
		saved  func(n int) bool // of the series
		lost   string
	}{
		{
			name:   "metas",
			damage: func(b []byte) []byte { return page(1, 9)(page(0, 9)(b)) },
			saved:  func(n int) bool { return n == seriesCount },
			lost:   "families of foreign collectors",
		},
		{
			name:   "a record",
			damage: func(b []byte) []byte { b[at(b, "\x04peak")+2]++; return b },
			saved:  func(n int) bool { return n == seriesCount*2/3+1 },
			lost:   "1000 series whose family is lost",
		},
		{name: "a page of the log", damage: func(b []byte) []byte {
			return page((at(b, "orders_total")/layout.PageSize)+1, 3)(b)
		}, saved: func(n int) bool { return n < seriesCount && n > seriesCount*8/10 }, lost: "parts of the series log"},
		{
			name:   "the end",
			damage: func(b []byte) []byte { return b[:len(b)*3/4] },
			saved:  func(n int) bool { return n > 0 && n < seriesCount },
			lost:   "",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newFile(t)
			m.change(t, c.damage)
			damaged, err := os.ReadFile(m.path)
			if err != nil {
				t.Fatal(err)
			}
			plan, err := Repair(m.path, Opts{DryRun: true})
			if err != nil {
				t.Fatal(err)
			}
			if now, err := os.ReadFile(m.path); err != nil || string(now) != string(damaged) {
				t.Error("a dry run changed the file")
			}
			found, err := Repair(m.path, Opts{})
			if err != nil {
				t.Fatal(err)
			}
			if len(plan.Series) != len(found.Series) {
				t.Errorf("%d series planned, %d saved", len(plan.Series), len(found.Series))
			}
			got := valuesOf(t, m.path)
			if !c.saved(len(got)) {
				t.Errorf("%d series are saved", len(got))
			}
			if !strings.Contains(strings.Join(found.Lost, "; "), c.lost) {
				t.Errorf("lost: %q", found.Lost)
			}
			for series, values := range got {
				if diff := cmp.Diff(m.values[series], values); diff != "" {
					t.Errorf("%s (-want +got):\n%s", series, diff)
				}
			}
			h, err := reader.ReadHeader(m.path)
			if err != nil || h.ID != m.header.ID || h.Program != "shop" || h.Start != m.header.Start {
				t.Errorf("%+v, %v", h, err)
			}
			if kept, err := os.ReadFile(filepath.Join(m.sub, layout.QuarantineName, filepath.Base(m.path))); err != nil || string(kept) != string(damaged) {
				t.Errorf("the damaged file is not in quarantine: %v", err)
			}
			if names, err := directory.List(m.sub); err != nil || len(names) != 3 { // with quarantine and the lock
				t.Errorf("%q, %v", names, err)
			}
			if _, err := Repair(m.path, Opts{}); !errors.Is(err, ErrFine) {
				t.Errorf("again: %v", err)
			}
		})
	}
}

// A log that was written anew leaves the old one behind: what was deleted stays so.
func TestRewrittenLog(t *testing.T) {
	sub, err := directory.Ensure(t.TempDir(), directory.Access{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := ownerfile.Create(sub, layout.Header{PID: 1, ID: layout.NewID(), BootID: boot.ID()})
	if err != nil {
		t.Fatal(err)
	}
	family := &layout.Family{Type: layout.Counter, Name: "c_total", LabelNames: []string{"n"}}
	if err := grown(p, func() bool { _, ok := p.AppendFamily(family); return ok }); err != nil {
		t.Fatal(err)
	}
	var runs []ownerfile.Run
	add := func(n int) {
		t.Helper()
		err := grown(p, func() bool {
			r, ok := p.ReplaceSeries(nil, 0, 1, []string{fmt.Sprint(n)}, layout.CounterWords, func(cells []atomic.Uint64) { cells[0].Store(uint64(n)) })
			if ok {
				runs = append(runs, r)
			}
			return ok
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for n := range 2000 {
		add(n)
	}
	for _, r := range runs[:1500] {
		if err := grown(p, func() bool { return p.AppendGone(r, 1) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Rewrite(time.Now()); err != nil {
		t.Fatal(err)
	}
	if p.Header().Generation != 1 {
		t.Fatal("the log was not written anew")
	}
	add(5000)
	if err := errors.Join(p.Close(), os.Chmod(p.Path(), 0o600)); err != nil {
		t.Fatal(err)
	}
	want := valuesOf(t, p.Path())
	m := &made{path: p.Path()}
	m.change(t, page(0, 9))
	m.change(t, page(1, 9))
	if _, err := Repair(p.Path(), Opts{}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, valuesOf(t, p.Path())); diff != "" || len(want) != 501 {
		t.Errorf("%d series (-want +got):\n%s", len(want), diff)
	}
}

// Whatever is done to the pages that are not cells: what is saved is exact.
func TestRandomDamage(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 1))
	m := newFile(t)
	whole, err := os.ReadFile(m.path)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := reader.ReadRaw(m.path)
	if err != nil {
		t.Fatal(err)
	}
	cells := func(at int) bool {
		for _, s := range raw.Slabs {
			if s.Kind == layout.CellSlab && int64(at) >= s.Offset+layout.SlabHeaderBytes && int64(at) < s.Offset+int64(s.Bytes) {
				return true
			}
		}
		return false
	}
	for range 300 {
		b := append([]byte{}, whole...)
		for range 1 + random.IntN(20) {
			from := random.IntN(len(b))
			for i := from; i < min(len(b), from+1+random.IntN(6000)); i++ {
				if !cells(i) {
					b[i] = byte(random.Uint32())
				}
			}
		}
		if err := os.WriteFile(m.path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		found, err := Read(m.path)
		if errors.Is(err, ErrNothing) {
			continue
		}
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for _, x := range found.Series {
			f := found.Families[x.Family]
			want, known := m.values[fmt.Sprint(f.Name, x.Values, x.Created, false)]
			if !known { // its share record may be lost
				want, known = m.values[fmt.Sprint(f.Name, x.Values, x.Created, true)]
			}
			if !known || f.Type == layout.Counter && want[0] != x.Cells[0] {
				t.Fatalf("seed %d: %s%v is %d, want %d", seed, f.Name, x.Values, x.Cells, want)
			}
		}
	}
}

func TestNotRepaired(t *testing.T) {
	check := func(what, path string, want error) {
		t.Helper()
		if _, err := Repair(path, Opts{}); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	m := newFile(t)
	check("a good one", m.path, ErrFine)
	outside := filepath.Join(t.TempDir(), filepath.Base(m.path))
	if err := os.WriteFile(outside, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Repair(outside, Opts{}); err == nil || !strings.Contains(err.Error(), "not in a directory mpmetrics") {
		t.Errorf("outside: %v", err)
	}
	if _, err := Repair(m.path+"x", Opts{}); err == nil {
		t.Error("another name is taken")
	}

	quarantine := filepath.Join(m.sub, layout.QuarantineName)
	if err := directory.Make(quarantine); err != nil {
		t.Fatal(err)
	}
	aside := filepath.Join(quarantine, filepath.Base(m.path))
	if err := os.WriteFile(aside, []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	check("one in quarantine beside a good one", aside, ErrThere)

	m.change(t, func([]byte) []byte { return []byte("junk") })
	check("one of which nothing is left", m.path, ErrNothing)

	p, err := ownerfile.Create(m.sub, layout.Header{PID: 1, ID: layout.NewID()})
	if err != nil {
		t.Fatal(err)
	}
	check("one that lives", p.Path(), ErrLives)
	p.Close()

	other := newFile(t)
	b, err := os.ReadFile(other.path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(other.path+".x", b, 0o600), os.Rename(other.path+".x", other.path)); err != nil {
		t.Fatal(err)
	}
	check("a copy", other.path, ErrNotDamaged)

	lock, err := archive.Lock(m.sub)
	if err != nil {
		t.Fatal(err)
	}
	check("while an absorption runs", m.path, archive.ErrBusy)
	lock.Unlock()

	if directory.InMemory(m.sub) {
		return // every file there is of this boot
	}
	old := newFile(t)
	old.header.BootID = "another"
	old.change(t, func([]byte) []byte { return nil })
	if err := os.Remove(old.path); err != nil {
		t.Fatal(err)
	}
	if p, err = ownerfile.Create(old.sub, old.header); err != nil {
		t.Fatal(err)
	}
	family := &layout.Family{Type: layout.Counter, Name: "c_total"}
	if err := grown(p, func() bool { _, ok := p.AppendFamily(family); return ok }); err != nil {
		t.Fatal(err)
	}
	if err := grown(p, func() bool { return p.AppendSeries(0, 1, nil, 2, func([]atomic.Uint64) {}) }); err != nil {
		t.Fatal(err)
	}
	if err := grown(p, func() bool { return p.AppendSeries(0, 1, []string{"odd"}, 2, func([]atomic.Uint64) {}) }); err != nil {
		t.Fatal(err)
	}
	p.Close()
	check("one of an earlier boot", old.path, ErrBoot)
}

// A repaired file that readers would not count is refused before it is written, with the reason: an
// hour after a later process was absorbed too.
func TestRepairedTooLate(t *testing.T) {
	hour := int64(time.Hour)
	began := func(h layout.Header) int64 {
		uptime, _ := boot.Began(h.BootID, h.Start)
		return int64(uptime)
	}
	for _, c := range []struct {
		name   string
		change func(a *archive.Archive, h layout.Header)
		want   error
	}{
		{name: "no absorption yet", change: func(*archive.Archive, layout.Header) {}},
		{
			name: "a later process was absorbed, and its id pruned", want: ErrForgotten,
			change: func(a *archive.Archive, h layout.Header) {
				a.Record(layout.Absorbed{ID: layout.NewID(), Start: h.Start + 1, Time: h.Start + 2})
				a.Prune(h.Start+hour, began(h)+1, func(layout.ID) bool { return false })
			},
		},
		{
			name: "an earlier process was absorbed, and its id pruned",
			change: func(a *archive.Archive, h layout.Header) {
				a.Record(layout.Absorbed{ID: layout.NewID(), Start: h.Start - 1, Time: h.Start + 2})
				a.Prune(h.Start+hour, began(h)-1, func(layout.ID) bool { return false })
			},
		},
		{
			name: "the file was there when a later id was pruned",
			change: func(a *archive.Archive, h layout.Header) {
				a.Horizon, a.Uptimes.Horizon = h.Start+1, began(h)+1
				a.SetOpen([]layout.ID{h.ID})
			},
		},
		{
			name: "totals have restarted without the file", want: ErrRestarted,
			change: func(a *archive.Archive, h layout.Header) {
				a.Begun, a.Uptimes.Begun = h.Start+1, began(h)+1
				a.Ledger.Bases[layout.ID{}] = &merge.Base{Whole: true}
			},
		},
		{
			name: "the file was put aside at a restart of totals", want: ErrRestarted,
			change: func(a *archive.Archive, h layout.Header) { a.Record(layout.Absorbed{ID: h.ID, Time: h.Start + 1}) },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newFile(t)
			m.change(t, func(b []byte) []byte {
				clear(b[:2*os.Getpagesize()])
				return b
			})
			a := archive.New()
			c.change(a, m.header)
			temporary, err := a.Write(m.sub, layout.Header{PID: 1, Start: m.header.Start + 3, BootID: boot.ID()})
			if err == nil {
				err = os.Rename(filepath.Join(m.sub, temporary), filepath.Join(m.sub, layout.ArchiveName))
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, dry := range []bool{true, false} {
				if _, err := Repair(m.path, Opts{DryRun: dry}); !errors.Is(err, c.want) {
					t.Errorf("dry run %v: %v, want %v", dry, err, c.want)
				}
			}
			if err := read(m.path); (err == nil) != (c.want == nil) {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

// The name of a file has the pid, and the pid is the default label of a process: samples of All
// gauges keep the label process when the header is lost.
func TestLostHeaderLeavesTheProcessLabel(t *testing.T) {
	for _, c := range []struct {
		name   string
		pid    int
		change func(b []byte, id layout.ID) []byte
	}{
		{"the pages of the header are overwritten", 4711, func(b []byte, id layout.ID) []byte {
			b = bytes.ReplaceAll(b, id[:], make([]byte, len(id)))
			clear(b[:2*layout.PageSize])
			return b
		}},
		{"the header is of another process", 4711, func(b []byte, id layout.ID) []byte {
			other := layout.NewID()
			clear(b[:2*layout.PageSize])
			return bytes.ReplaceAll(b, id[:], other[:])
		}},
		{"the header is of another pid", 4712, func(b []byte, _ layout.ID) []byte {
			clear(b[:2*layout.PageSize])
			return b
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newFile(t)
			m.change(t, func(b []byte) []byte { return c.change(b, m.header.ID) })
			path := filepath.Join(m.sub, layout.FileName(c.pid, m.header.ID))
			if err := os.Rename(m.path, path); err != nil {
				t.Fatal(err)
			}
			found, err := Repair(path, Opts{})
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(strings.Join(found.Lost, "; "), "the label process is the pid") {
				t.Errorf("lost: %q", found.Lost)
			}
			h, err := reader.ReadHeader(path)
			if err != nil || h.Process != strconv.Itoa(c.pid) || int(h.PID) != c.pid || h.ID != m.header.ID {
				t.Errorf("%+v, %v; want the label %d", h, err, c.pid)
			}
		})
	}
}
