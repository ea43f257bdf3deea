package layout

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRecordRoundTrip(t *testing.T) {
	long := strings.Repeat("x", 262_144)
	tests := []struct {
		name    string
		payload []byte
		want    Record
	}{
		{"family", AppendFamily(nil, 2, goldenFamily()), Record{Number: 2, Family: goldenFamily()}},
		{"series", AppendSeries(nil, goldenSeries()), Record{Series: goldenSeries()}},
		{"long value", AppendSeries(nil, &Series{Values: []string{long}}), Record{Series: &Series{Values: []string{long}}}},
		{"no values", AppendSeries(nil, &Series{Number: math.MaxUint32}), Record{Series: &Series{Number: math.MaxUint32}}},
		{"shard", AppendShard(nil, Shard{Series: 1, Place: Place{2, 3}}), Record{Shard: &Shard{Series: 1, Place: Place{2, 3}}}},
		{"total", AppendTotal(nil, goldenTotal()), Record{Total: goldenTotal()}},
		{"total of a gauge", AppendTotal(nil, goldenGaugeTotal()), Record{Total: goldenGaugeTotal()}},
		{"native", AppendNative(nil, goldenNative()), Record{Native: goldenNative()}},
		{"empty native", AppendNative(nil, &Native{Schema: MinSchema}), Record{Native: &Native{Schema: MinSchema}}},
		{"sample", AppendSample(nil, goldenSample()), Record{Sample: goldenSample()}},
		{"state", AppendState(nil, &State{Begun: -1, Absorbed: math.MaxUint64}), Record{State: &State{Begun: -1, Absorbed: math.MaxUint64}}},
		{"rank", AppendRank(nil, &Rank{Family: 1, ID: ID{2}}), Record{Rank: &Rank{Family: 1, ID: ID{2}}}},
		{"dead", AppendDead(nil, &Dead{ID: ID{2}, Label: "1"}), Record{Dead: &Dead{ID: ID{2}, Label: "1"}}},
		{"gone", AppendGone(nil, Gone{Series: 1, Time: -2}), Record{Gone: &Gone{Series: 1, Time: -2}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := DecodeRecord(test.payload)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(got, test.want); diff != "" {
				t.Errorf("record (-got +want):\n%s", diff)
			}
			for n := range test.payload[:min(len(test.payload), 200)] {
				if _, err := DecodeRecord(test.payload[:n]); !errors.Is(err, ErrDamaged) {
					t.Errorf("cut to %d bytes: %v, want %v", n, err, ErrDamaged)
				}
			}
			if _, err := DecodeRecord(append(slices.Clone(test.payload), 0)); !errors.Is(err, ErrDamaged) {
				t.Errorf("with a byte more: %v, want %v", err, ErrDamaged)
			}
		})
	}
}

func TestRecordWord(t *testing.T) {
	payload := []byte("payload")
	word := RecordWord(payload)
	if got, want := RecordLength(word), uint32(len(payload)); got != want {
		t.Errorf("length %d, want %d", got, want)
	}
	if err := CheckRecord(word, payload); err != nil {
		t.Errorf("own payload: %v", err)
	}
	if err := CheckRecord(word, []byte("Payload")); !errors.Is(err, ErrDamaged) {
		t.Errorf("other payload: %v, want %v", err, ErrDamaged)
	}
	if w := ContinueWord(77); RecordLength(w) != Continued || ContinuedIn(w) != 77 {
		t.Errorf("continuation %#x: length %#x in %d", w, RecordLength(w), ContinuedIn(w))
	}
	if got, want := RecordBytes(9), 24; got != want {
		t.Errorf("RecordBytes(9) = %d, want %d", got, want)
	}
}

func TestValidate(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Family)
		saying string // empty: valid
	}{
		{"as it is", func(*Family) {}, ""},
		{"UTF-8 name", func(f *Family) { f.Name = "größe" }, ""},
		{"empty name", func(f *Family) { f.Name = "" }, "metric name"},
		{"name that is not UTF-8", func(f *Family) { f.Name = "\xff" }, "metric name"},
		{"name with a NUL", func(f *Family) { f.Name = "a\x00" }, "has a NUL"},
		{"label with a NUL", func(f *Family) { f.LabelNames[0] = "a\x00" }, "has a NUL"},
		{"label with a colon", func(f *Family) { f.LabelNames[0] = "a:b" }, "has a colon"},
		{"label with a colon, once it is escaped", func(f *Family) { f.LabelNames[0] = "a:b c" }, "has a colon"},
		{"help that is not UTF-8", func(f *Family) { f.Help = "\xff" }, "UTF-8"},
		{"unknown type", func(f *Family) { f.Type = 9 }, "type 9"},
		{"mode of a histogram", func(f *Family) { f.Mode = Sum }, "sum"},
		{"gauge without mode", func(f *Family) { f.Type, f.Bounds = Gauge, nil }, "mode 0"},
		{"gauge with unknown mode", func(f *Family) { f.Type, f.Mode, f.Bounds = Gauge, modeEnd, nil }, "mode 12"},
		{"bounds of a counter", func(f *Family) { f.Type = Counter }, "buckets"},
		{"bounds that descend", func(f *Family) { f.Bounds = []float64{2, 1} }, "bound 1"},
		{"bounds twice", func(f *Family) { f.Bounds = []float64{1, 1} }, "bound 1"},
		{"bound +Inf", func(f *Family) { f.Bounds = []float64{1, math.Inf(+1)} }, "bound 1"},
		{"bound NaN", func(f *Family) { f.Bounds = []float64{math.NaN()} }, "bound 0"},
		{"label le", func(f *Family) { f.LabelNames[0] = "le" }, "le"},
		{"const label le", func(f *Family) { f.ConstLabels[0].Name = "le" }, "le"},
		{"label quantile of a summary", func(f *Family) { f.Type, f.Bounds, f.LabelNames[0] = Summary, nil, "quantile" }, "quantile"},
		{"reserved label", func(f *Family) { f.LabelNames[0] = "__name__" }, "__name__"},
		{"empty label", func(f *Family) { f.LabelNames[0] = "" }, "label name"},
		{"label twice", func(f *Family) { f.LabelNames[0] = "method" }, "twice"},
		{"label and const label", func(f *Family) { f.LabelNames[0] = "zone" }, "twice"},
		{"const value that is not UTF-8", func(f *Family) { f.ConstLabels[0].Value = "\xff" }, "zone"},
		{"label process of an All gauge", func(f *Family) { f.Type, f.Mode, f.Bounds, f.LabelNames[0] = Gauge, All, nil, "process" }, "process"},
		{"untyped", func(f *Family) { f.Type, f.Mode, f.Bounds = Untyped, LiveSum, nil }, ""},
		{"untyped without mode", func(f *Family) { f.Type, f.Bounds = Untyped, nil }, "mode 0"},
		{"counter with mode", func(f *Family) { f.Type, f.Mode, f.Bounds = Counter, Max, nil }, ""},
		{"counter with unknown mode", func(f *Family) { f.Type, f.Mode, f.Bounds = Counter, modeEnd, nil }, "mode 12"},
		{"summary with mode", func(f *Family) { f.Type, f.Mode, f.Bounds = Summary, Max, nil }, "max"},
		{"longest name", func(f *Family) { f.Name = strings.Repeat("n", MaxNameBytes) }, ""},
		{"longer name", func(f *Family) { f.Name = strings.Repeat("n", MaxNameBytes+1) }, "name of 65537 bytes"},
		{"longer unit", func(f *Family) { f.Unit = strings.Repeat("u", MaxNameBytes+1) }, "unit of 65537 bytes"},
		{"longer help", func(f *Family) { f.Help = strings.Repeat("h", MaxHelpBytes+1) }, "help of 1048577 bytes"},
		{"longer label name", func(f *Family) { f.LabelNames[0] = strings.Repeat("l", MaxNameBytes+1) }, "label name of 65537 bytes"},
		{"longer const label name", func(f *Family) { f.ConstLabels[0].Name = strings.Repeat("l", MaxNameBytes+1) }, "label name of 65537 bytes"},
		{"longer const label value", func(f *Family) { f.ConstLabels[0].Value = strings.Repeat("v", MaxLabelBytes+1) }, "value of 4194305 bytes"},
		{"label process of a Sum gauge", func(f *Family) { f.Type, f.Mode, f.Bounds, f.LabelNames[0] = Gauge, Sum, nil, "process" }, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := goldenFamily()
			test.change(f)
			err := f.Validate()
			switch {
			case test.saying == "" && err != nil:
				t.Errorf("got %v, want no error", err)
			case test.saying != "" && (!errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), test.saying)):
				t.Errorf("got %v, want one that says %q", err, test.saying)
			}
		})
	}
	f := goldenFamily()
	for _, values := range [][]string{{"200"}, {"200", "\xff"}, {"200", "GET", "x"}} {
		if err := (&Series{Values: values}).Validate(f); !errors.Is(err, ErrDamaged) {
			t.Errorf("values %q: %v, want %v", values, err, ErrDamaged)
		}
	}
	if err := goldenSeries().Validate(f); err != nil {
		t.Error(err)
	}
}

func TestArchiveRecordsValidate(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Family, *Total)
		saying string // empty: valid
	}{
		{"as it is", func(*Family, *Total) {}, ""},
		{"buckets of another family", func(_ *Family, t *Total) { t.Buckets = t.Buckets[1:] }, "4 buckets, want 5"},
		{"no value", func(_ *Family, t *Total) { t.Values = nil }, "0 label values"},
		{"part that is not finite", func(_ *Family, t *Total) { t.Parts[0] = math.Inf(-1) }, "part -Inf"},
		{"histogram that was set", func(_ *Family, t *Total) { t.Set = 1 }, "gauge values"},
		{"live gauge", func(f *Family, t *Total) { f.Type, f.Mode, f.Bounds, t.Buckets = Gauge, LiveSum, nil, nil }, "livesum"},
		{"gauge of each process", func(f *Family, t *Total) { f.Type, f.Mode, f.Bounds, t.Buckets = Gauge, All, nil, nil }, "all"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f, total := goldenFamily(), goldenTotal()
			test.change(f, total)
			err := total.Validate(f)
			switch {
			case test.saying == "" && err != nil:
				t.Errorf("got %v, want no error", err)
			case test.saying != "" && (!errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), test.saying)):
				t.Errorf("got %v, want one that says %q", err, test.saying)
			}
		})
	}
	f := &Family{Type: Gauge, Mode: All, Name: "g", LabelNames: []string{"l"}}
	if err := goldenSample().Validate(f); err != nil {
		t.Error(err)
	}
	if f.Mode = Sum; goldenSample().Validate(f) == nil {
		t.Error("a sample of a Sum gauge is valid")
	}
}

func TestNativeValidate(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Native)
		saying string // empty: valid
	}{
		{"as it is", func(*Native) {}, ""},
		{"lower schema", func(n *Native) { n.Schema = MinSchema - 1 }, "schema -5"},
		{"higher schema", func(n *Native) { n.Schema = MaxSchema + 1 }, "schema 9"},
		{"custom buckets", func(n *Native) { n.Schema = -53 }, "schema -53"},
		{"threshold NaN", func(n *Native) { n.Threshold = math.NaN() }, "threshold NaN"},
		{"threshold below zero", func(n *Native) { n.Threshold = -1 }, "threshold -1"},
		{"threshold +Inf", func(n *Native) { n.Threshold = math.Inf(+1) }, "threshold +Inf"},
		{"buckets that descend", func(n *Native) { n.Positive[1].Index = -6 }, "bucket -6 after -5"},
		{"bucket twice", func(n *Native) { n.Negative = append(n.Negative, n.Negative[0]) }, "bucket 0 after 0"},
		{"bucket of infinity", func(n *Native) { n.Positive[1].Index = 1024/2 + 1 }, ""},
		{"bucket behind infinity", func(n *Native) { n.Positive[1].Index = 1024/2 + 2 }, "beyond the numbers"},
		{"bucket of infinity in a fine schema", func(n *Native) { n.Schema, n.Positive[1].Index = 3, 1024<<3+1 }, ""},
		{"bucket behind infinity in a fine schema", func(n *Native) { n.Schema, n.Positive[1].Index = 3, 1024<<3+2 }, "beyond the numbers"},
		{"bucket below the smallest number", func(n *Native) { n.Schema, n.Negative[0].Index = 0, -1075 }, "beyond the numbers"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n := goldenNative()
			test.change(n)
			err := n.Validate()
			switch {
			case test.saying == "" && err != nil:
				t.Errorf("got %v, want no error", err)
			case test.saying != "" && (!errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), test.saying)):
				t.Errorf("got %v, want one that says %q", err, test.saying)
			}
		})
	}
	if got, want := goldenNative().Observations(), uint64(3+1+1<<40+2); got != want {
		t.Errorf("%d observations, want %d", got, want)
	}
}

func TestGaugeEncoding(t *testing.T) {
	values := []float64{0, math.Copysign(0, -1), 1, -1, math.MaxFloat64, math.SmallestNonzeroFloat64, math.Inf(1), math.Inf(-1)}
	for _, v := range values {
		word := EncodeGauge(v)
		got, set := DecodeGauge(word)
		if !set || math.Float64bits(got) != math.Float64bits(v) {
			t.Errorf("%v: decoded %v, %v", v, got, set)
		}
	}
	// Each NaN, also those that would encode to a reserved pattern, becomes one.
	for _, reserved := range []uint64{GaugeNeverSet, GaugeMoved, GaugePending} {
		nan := math.Float64frombits(reserved ^ gaugeMask)
		if nan == nan {
			t.Fatalf("pattern %#x is the encoding of %v", reserved, nan)
		}
		if EncodeGauge(nan) != EncodeGauge(math.NaN()) || EncodeGauge(nan) == reserved {
			t.Errorf("NaN %#x encodes to %#x", reserved^gaugeMask, EncodeGauge(nan))
		}
	}
	if v, set := DecodeGauge(EncodeGauge(math.NaN())); !set || v == v {
		t.Errorf("NaN: decoded %v, %v", v, set)
	}
	for _, word := range []uint64{GaugeNeverSet, GaugeMoved, GaugePending} {
		if v, set := DecodeGauge(word); set || v != 0 {
			t.Errorf("no value, %#x: decoded %v, %v", word, v, set)
		}
	}
}

func TestCommitWord(t *testing.T) {
	for _, index := range []int{0, 1, MaxBuckets} {
		for _, commits := range []uint64{0, 1, 2, 1<<52 - 1} {
			w := Commit(commits, index)
			if Commits(w) != commits || CommitIndex(w) != index || CommitSlot(w) != int(commits%2) {
				t.Errorf("commit %d of %d: %d of %d, slot %d", index, commits, CommitIndex(w), Commits(w), CommitSlot(w))
			}
		}
	}
}

func TestFileName(t *testing.T) {
	id := NewID()
	pid, got, err := ParseFileName(FileName(4711, id))
	if err != nil || pid != 4711 || got != id {
		t.Errorf("got %d, %v, %v, want 4711, %v", pid, got, err, id)
	}
	text := id.String()
	for _, name := range []string{
		"", ".mpm", "4711.mpm", "-" + text + ".mpm", "0-" + text + ".mpm", "04711-" + text + ".mpm", "+1-" + text + ".mpm",
		"4711-" + text, "4711-" + text + ".mpm.tmp", "4711-" + text[1:] + ".mpm", "4711-" + strings.ToUpper(text) + ".mpm",
		"4711-" + text[:25] + "b.mpm", "x-" + text + ".mpm", "archive.mpm", "counter_4711.db",
	} {
		if _, _, err := ParseFileName(name); err == nil {
			t.Errorf("%q was accepted", name)
		}
	}
}

func TestIsTemporary(t *testing.T) {
	for name, want := range map[string]bool{
		FileName(1, NewID()) + TemporaryExtension: true, ArchiveTemporary(NewID()): true,
		FileName(1, NewID()): false, ArchiveName: false, LockName: false, "1.mpm.tmp": false, "archive-x.tmp": false, "archive.mpm.tmp": false, ".tmp": false,
	} {
		if got := IsTemporary(name); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

func TestModes(t *testing.T) {
	names := map[string]bool{}
	for m := All; m < modeEnd; m++ {
		names[m.String()] = true
		if got, want := m.Live(), strings.HasPrefix(m.String(), "live"); got != want {
			t.Errorf("%v: live %v, want %v", m, got, want)
		}
	}
	if got, want := len(names), 11; got != want {
		t.Errorf("%d modes with names of their own, want %d", got, want)
	}
}

func FuzzDecodeRecord(f *testing.F) {
	for _, g := range goldens {
		if !strings.HasSuffix(g.name, "header") && g.name != "slab" {
			f.Add(g.encode())
		}
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		r, err := DecodeRecord(payload)
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Fatalf("error %v does not wrap %v", err, ErrDamaged)
			}
			return
		}
		var again []byte
		switch {
		case r.Family != nil:
			again = AppendFamily(nil, r.Number, r.Family)
		case r.Series != nil:
			again = AppendSeries(nil, r.Series)
		case r.Shard != nil:
			again = AppendShard(nil, *r.Shard)
		case r.Gone != nil:
			again = AppendGone(nil, *r.Gone)
		case r.State != nil:
			again = AppendState(nil, r.State)
		case r.Rank != nil:
			again = AppendRank(nil, r.Rank)
		case r.Total != nil:
			again = AppendTotal(nil, r.Total)
		case r.Native != nil:
			again = AppendNative(nil, r.Native)
		case r.Dead != nil:
			again = AppendDead(nil, r.Dead)
		case r.Sample != nil:
			again = AppendSample(nil, r.Sample)
		case r.Absorbed != nil:
			again = AppendAbsorbed(nil, r.Absorbed)
		case r.Open != nil:
			again = AppendOpen(nil, r.Open)
		}
		if !slices.Equal(again, payload) {
			t.Errorf("encoded again:\ngot  %x\nwant %x", again, payload)
		}
	})
}

func FuzzDecodeHeader(f *testing.F) {
	f.Add(goldenHeader().Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := DecodeHeader(b); err == nil && !slices.Equal(h.Encode(), b) {
			t.Errorf("encoded again:\ngot  %x\nwant %x", h.Encode(), b)
		}
	})
}

func FuzzDecodeSlab(f *testing.F) {
	f.Add(EncodeSlab(goldenSlab())[:SlabHeaderBytes])
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := DecodeSlab(b); err == nil && h.Bytes < 1<<20 && !slices.Equal(EncodeSlab(h)[:SlabHeaderBytes], b[:SlabHeaderBytes]) {
			t.Errorf("encoded again:\ngot  %x\nwant %x", EncodeSlab(h)[:SlabHeaderBytes], b[:SlabHeaderBytes])
		}
	})
}
