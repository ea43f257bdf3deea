//go:build unix

package archive

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/mpmetrics/mpmetrics/internal/boltfile"
	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
)

// wantError compares an error with a part of its text, and with what it wraps.
func wantError(t *testing.T, err error, text string, is error) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) || !errors.Is(err, is) {
		t.Errorf("error %v, want %q and %v", err, text, is)
	}
}

// Each rule of a record, broken behind a log that is sound.
func TestRefusedRecords(t *testing.T) {
	whole := records(t, sample(1))
	live := layout.AppendFamily(nil, 4, &layout.Family{Type: layout.Gauge, Mode: layout.LiveSum, Name: "live"})
	for _, test := range []struct {
		name string
		log  [][]byte
		want string
	}{
		{
			name: "family out of order",
			log:  [][]byte{layout.AppendFamily(nil, 9, &layout.Family{Type: layout.Counter, Name: "x_total"})},
			want: "family 9 after 4 families",
		},
		{
			name: "invalid family",
			log:  [][]byte{layout.AppendFamily(nil, 4, &layout.Family{Type: layout.Counter})},
			want: `metric name "" is not valid`,
		},
		{name: "rank of no family", log: [][]byte{layout.AppendRank(nil, &layout.Rank{Family: 9})}, want: "unknown family 9"},
		{name: "total of no family", log: [][]byte{layout.AppendTotal(nil, &layout.Total{Family: 9})}, want: "unknown family 9"},
		{name: "total without label values", log: [][]byte{layout.AppendTotal(nil, &layout.Total{})}, want: "0 label values, want 1"},
		{name: "total of a live gauge", log: [][]byte{live, layout.AppendTotal(nil, &layout.Total{Family: 4})}, want: "a gauge of mode livesum"},
		{name: "sample of no family", log: [][]byte{layout.AppendSample(nil, &layout.Sample{Family: 9})}, want: "unknown family 9"},
		{name: "sample of a counter", log: [][]byte{layout.AppendSample(nil, &layout.Sample{Values: []string{"x"}})}, want: "sample of"},
		{
			name: "sample of nobody",
			log:  [][]byte{layout.AppendSample(nil, &layout.Sample{Dead: 9, Family: 3, Values: []string{"x"}})},
			want: "sample of unknown process 9",
		},
		{name: "dead out of order", log: [][]byte{layout.AppendDead(nil, &layout.Dead{Number: 9})}, want: "after 3 processes"},
		{
			name: "native buckets of a counter",
			log:  [][]byte{layout.AppendNative(nil, &layout.Native{})},
			want: "without a total or a base of a native histogram",
		},
		{name: "native buckets of no schema", log: [][]byte{
			layout.AppendFamily(nil, 4, &layout.Family{Type: layout.NativeHistogram, Name: "n"}),
			layout.AppendTotal(nil, &layout.Total{Family: 4, Sums: layout.Sums{Buckets: []uint64{1}}}),
			layout.AppendNative(nil, &layout.Native{Schema: 9}),
		}, want: "schema 9"},
		{name: "value without a base", log: [][]byte{layout.AppendCounted(nil, &layout.Counted{Values: []string{"x"}, Words: []uint64{1, 0}})}, want: "without a base"},
		{name: "value of a whole base", log: [][]byte{
			layout.AppendBase(nil, layout.Base{Whole: true}), layout.AppendCounted(nil, &layout.Counted{Values: []string{"x"}, Words: []uint64{1, 0}}),
		}, want: "without a base"},
		{name: "base of no family", log: [][]byte{layout.AppendBase(nil, layout.Base{}), layout.AppendCounted(nil, &layout.Counted{Family: 9})}, want: "unknown family 9"},
		{name: "base of a gauge", log: [][]byte{layout.AppendBase(nil, layout.Base{}), layout.AppendCounted(nil, &layout.Counted{Family: 3})}, want: "of mode all"},
		{name: "base without words", log: [][]byte{layout.AppendBase(nil, layout.Base{}), layout.AppendCounted(nil, &layout.Counted{})}, want: "0 words, want 2"},
		{name: "two bases of a process", log: [][]byte{layout.AppendBase(nil, layout.Base{}), layout.AppendBase(nil, layout.Base{})}, want: "two bases"},
		{name: "native buckets of the base of a counter", log: [][]byte{
			layout.AppendBase(nil, layout.Base{}), layout.AppendCounted(nil, &layout.Counted{Values: []string{"x"}, Words: []uint64{1, 0}}),
			layout.AppendNative(nil, &layout.Native{}),
		}, want: "without a total or a base"},
		{name: "deletion of a series", log: [][]byte{layout.AppendGone(nil, layout.Gone{})}, want: "record of a process's file in an archive"},
	} {
		_, err := decode(slices.Concat(whole, test.log))
		t.Run(test.name, func(t *testing.T) { wantError(t, err, test.want, layout.ErrDamaged) })
	}
}

// Whoever reads records may stop at each.
func TestRecordsStop(t *testing.T) {
	a := restarted(1)
	want := records(t, a)
	for n := range want {
		var got [][]byte
		for payload, err := range a.Records() {
			if err != nil {
				t.Fatal(err)
			}
			if got = append(got, slices.Clone(payload)); len(got) > n {
				break
			}
		}
		if !slices.EqualFunc(got, want[:n+1], slices.Equal) {
			t.Errorf("stopped at record %d, %d records are not those before it", n, len(got))
		}
	}
}

// What no reader would believe is not written, and leaves nothing behind.
func TestRecordAboveTheLimit(t *testing.T) {
	dir := t.TempDir()
	a := New()
	f := &layout.Family{Type: layout.Counter, Name: "c_total", LabelNames: []string{"l"}}
	a.Ledger.Absorb(merge.Process{}, []*layout.Family{f}, []merge.Input{{Values: []string{strings.Repeat("x", layout.MaxArchiveRecordBytes)}}}, []uint64{1, 0}, nil, 1)
	_, err := a.Write(dir, header())
	if err == nil || !strings.Contains(err.Error(), "above the limit of 16842752") {
		t.Errorf("error %v", err)
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 0 {
		t.Errorf("directory %v, %v", names, err)
	}
}

// A log that ends before it says what became of the archive is not one of no
// processes.
func TestArchiveWithoutState(t *testing.T) {
	dir := t.TempDir()
	db, _, _, err := boltfile.Create(filepath.Join(dir, layout.ArchiveName), directory.GroupWrites)
	if err != nil {
		t.Fatal(err)
	}
	h := header()
	h.Kind = layout.ArchiveFile
	w := &writer{db: db, header: h}
	err = errors.Join(w.seal(0), db.Update(func(tx *bbolt.Tx) error { return boltfile.PutHeader(tx, &w.header) }), db.Close())
	if err != nil {
		t.Fatal(err)
	}
	_, err = Read(dir)
	wantError(t, err, "no state record", layout.ErrDamaged)
}

func TestPublishNothing(t *testing.T) {
	err := publishFile(t.TempDir(), layout.ArchiveTemporary(layout.NewID()))
	wantError(t, err, "publish archive", os.ErrNotExist)
}

// Who is not configured has to believe what is written down, and nothing else.
func TestRefusedLocations(t *testing.T) {
	location := func(make func(path string) error) func(string) error {
		return func(sub string) error { return make(filepath.Join(sub, layout.LocationName)) }
	}
	content := func(text string) func(string) error {
		return location(func(path string) error { return os.WriteFile(path, []byte(text), 0o600) })
	}
	for _, test := range []struct {
		name string
		make func(sub string) error
		want string
		is   error
	}{
		{
			name: "symbolic link",
			make: location(func(path string) error { return os.Symlink("elsewhere", path) }),
			want: "it is a symbolic link",
			is:   directory.ErrRefused,
		},
		{
			name: "directory",
			make: location(func(path string) error { return os.Mkdir(path, 0o700) }),
			want: "it is not a regular file",
			is:   directory.ErrRefused,
		},
		{name: "longer than any path", make: content(strings.Repeat("/", maxLocationBytes+1)), want: "damaged", is: layout.ErrDamaged},
		{name: "empty", make: content(""), want: `"" is not a line with a path`, is: layout.ErrDamaged},
		{name: "nowhere", make: content("/nowhere/mpmetrics\n"), want: "mount the directory", is: ErrElsewhere},
	} {
		t.Run(test.name, func(t *testing.T) {
			sub := t.TempDir()
			if err := test.make(sub); err != nil {
				t.Fatal(err)
			}
			_, err := Settle(sub, "", directory.Access{})
			wantError(t, err, test.want, test.is)
		})
	}
}

// A power cut left the location empty. Who is configured writes it again.
func TestEmptyLocationHeals(t *testing.T) {
	sub, disk := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(sub, layout.LocationName), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	want := filepath.Join(disk, layout.Subdirectory)
	if got, err := Settle(sub, disk, directory.Access{}); err != nil || got != want {
		t.Errorf("configured: %q, %v, want %q", got, err, want)
	}
	if got, err := Settle(sub, "", directory.Access{}); err != nil || got != want {
		t.Errorf("not configured: %q, %v, want %q", got, err, want)
	}
}

// What cannot be written down is not settled, and leaves nothing behind.
func TestLocationCannotBeWritten(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	err := write(missing, "/archive")
	wantError(t, err, "missing", os.ErrNotExist)
	sub := t.TempDir()
	if err := os.MkdirAll(filepath.Join(sub, layout.LocationName, "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := write(sub, "/archive"); err == nil || !strings.Contains(err.Error(), layout.LocationName) {
		t.Errorf("error %v, want one that names %s", err, layout.LocationName)
	}
	if names, err := os.ReadDir(sub); err != nil || len(names) != 1 {
		t.Errorf("directory %v, %v", names, err)
	}
	if _, err := Settle(missing, t.TempDir(), directory.Access{}); err == nil || !strings.HasPrefix(err.Error(), "archive directory: ") {
		t.Errorf("into a missing directory: error %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Settle(t.TempDir(), file, directory.Access{}); err == nil || !strings.HasPrefix(err.Error(), "archive directory: make") {
		t.Errorf("below a file: error %v", err)
	}
}
