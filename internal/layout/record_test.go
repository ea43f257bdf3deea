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
		{name: "family", payload: AppendFamily(nil, 2, goldenFamily()), want: Record{Number: 2, Family: goldenFamily()}},
		{name: "series", payload: AppendSeries(nil, goldenSeries()), want: Record{Series: goldenSeries()}},
		{name: "long value", payload: AppendSeries(nil, &Series{Values: []string{long}}), want: Record{Series: &Series{Values: []string{long}}}},
		{name: "no values", payload: AppendSeries(nil, &Series{Number: math.MaxUint32}), want: Record{Series: &Series{Number: math.MaxUint32}}},
		{name: "total", payload: AppendTotal(nil, goldenTotal()), want: Record{Total: goldenTotal()}},
		{name: "total of a gauge", payload: AppendTotal(nil, goldenGaugeTotal()), want: Record{Total: goldenGaugeTotal()}},
		{name: "native", payload: AppendNative(nil, goldenNative()), want: Record{Native: goldenNative()}},
		{name: "empty native", payload: AppendNative(nil, &Native{Schema: MinSchema}), want: Record{Native: &Native{Schema: MinSchema}}},
		{name: "sample", payload: AppendSample(nil, goldenSample()), want: Record{Sample: goldenSample()}},
		{
			name:    "state",
			payload: AppendState(nil, &State{Begun: -1, Absorbed: math.MaxUint64}),
			want:    Record{State: &State{Begun: -1, Absorbed: math.MaxUint64}},
		},
		{name: "uptimes", payload: AppendUptimes(nil, Uptimes{Begun: -1, Horizon: 2}), want: Record{Uptimes: &Uptimes{Begun: -1, Horizon: 2}}},
		{name: "rank", payload: AppendRank(nil, &Rank{Family: 1, ID: ID{2}}), want: Record{Rank: &Rank{Family: 1, ID: ID{2}}}},
		{name: "dead", payload: AppendDead(nil, &Dead{ID: ID{2}, Label: "1"}), want: Record{Dead: &Dead{ID: ID{2}, Label: "1"}}},
		{name: "share", payload: AppendShare(nil, Share{Series: 300, On: true}), want: Record{Share: &Share{Series: 300, On: true}}},
		{name: "no share", payload: AppendShare(nil, Share{Series: math.MaxUint32}), want: Record{Share: &Share{Series: math.MaxUint32}}},
		{name: "gone", payload: AppendGone(nil, Gone{Series: 1, Time: -2}), want: Record{Gone: &Gone{Series: 1, Time: -2}}},
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
		{name: "as it is", change: func(*Family) {}, saying: ""},
		{name: "UTF-8 name", change: func(f *Family) { f.Name = "größe" }, saying: ""},
		{name: "empty name", change: func(f *Family) { f.Name = "" }, saying: "metric name"},
		{name: "name that is not UTF-8", change: func(f *Family) { f.Name = "\xff" }, saying: "metric name"},
		{name: "name with a NUL", change: func(f *Family) { f.Name = "a\x00" }, saying: "has a NUL"},
		{name: "label with a NUL", change: func(f *Family) { f.LabelNames[0] = "a\x00" }, saying: "has a NUL"},
		{name: "label with a colon", change: func(f *Family) { f.LabelNames[0] = "a:b" }, saying: "has a colon"},
		{name: "label with a colon, once it is escaped", change: func(f *Family) { f.LabelNames[0] = "a:b c" }, saying: "has a colon"},
		{name: "help that is not UTF-8", change: func(f *Family) { f.Help = "\xff" }, saying: "UTF-8"},
		{name: "unknown type", change: func(f *Family) { f.Type = 9 }, saying: "type 9"},
		{name: "mode of a histogram", change: func(f *Family) { f.Mode = Sum }, saying: "sum"},
		{name: "gauge without mode", change: func(f *Family) { f.Type, f.Bounds = Gauge, nil }, saying: "mode 0"},
		{name: "gauge with unknown mode", change: func(f *Family) { f.Type, f.Mode, f.Bounds = Gauge, modeEnd, nil }, saying: "mode 12"},
		{name: "bounds of a counter", change: func(f *Family) { f.Type = Counter }, saying: "buckets"},
		{name: "bounds that descend", change: func(f *Family) { f.Bounds = []float64{2, 1} }, saying: "bound 1"},
		{name: "bounds twice", change: func(f *Family) { f.Bounds = []float64{1, 1} }, saying: "bound 1"},
		{name: "bound +Inf", change: func(f *Family) { f.Bounds = []float64{1, math.Inf(+1)} }, saying: "bound 1"},
		{name: "bound NaN", change: func(f *Family) { f.Bounds = []float64{math.NaN()} }, saying: "bound 0"},
		{name: "label le", change: func(f *Family) { f.LabelNames[0] = "le" }, saying: "le"},
		{name: "const label le", change: func(f *Family) { f.ConstLabels[0].Name = "le" }, saying: "le"},
		{
			name:   "label quantile of a summary",
			change: func(f *Family) { f.Type, f.Bounds, f.LabelNames[0] = Summary, nil, "quantile" },
			saying: "quantile",
		},
		{name: "reserved label", change: func(f *Family) { f.LabelNames[0] = "__name__" }, saying: "__name__"},
		{name: "empty label", change: func(f *Family) { f.LabelNames[0] = "" }, saying: "label name"},
		{name: "label twice", change: func(f *Family) { f.LabelNames[0] = "method" }, saying: "twice"},
		{name: "label and const label", change: func(f *Family) { f.LabelNames[0] = "zone" }, saying: "twice"},
		{name: "const value that is not UTF-8", change: func(f *Family) { f.ConstLabels[0].Value = "\xff" }, saying: "zone"},
		{
			name:   "label process of an All gauge",
			change: func(f *Family) { f.Type, f.Mode, f.Bounds, f.LabelNames[0] = Gauge, All, nil, "process" },
			saying: "process",
		},
		{name: "untyped", change: func(f *Family) { f.Type, f.Mode, f.Bounds = Untyped, LiveSum, nil }, saying: ""},
		{name: "untyped without mode", change: func(f *Family) { f.Type, f.Bounds = Untyped, nil }, saying: "mode 0"},
		{name: "counter with mode", change: func(f *Family) { f.Type, f.Mode, f.Bounds = Counter, Max, nil }, saying: ""},
		{name: "counter with unknown mode", change: func(f *Family) { f.Type, f.Mode, f.Bounds = Counter, modeEnd, nil }, saying: "mode 12"},
		{name: "summary with mode", change: func(f *Family) { f.Type, f.Mode, f.Bounds = Summary, Max, nil }, saying: "max"},
		{name: "longest name", change: func(f *Family) { f.Name = strings.Repeat("n", MaxNameBytes) }, saying: ""},
		{name: "longer name", change: func(f *Family) { f.Name = strings.Repeat("n", MaxNameBytes+1) }, saying: "name of 65537 bytes"},
		{name: "longer unit", change: func(f *Family) { f.Unit = strings.Repeat("u", MaxNameBytes+1) }, saying: "unit of 65537 bytes"},
		{name: "longer help", change: func(f *Family) { f.Help = strings.Repeat("h", MaxHelpBytes+1) }, saying: "help of 1048577 bytes"},
		{
			name:   "longer label name",
			change: func(f *Family) { f.LabelNames[0] = strings.Repeat("l", MaxNameBytes+1) },
			saying: "label name of 65537 bytes",
		},
		{
			name:   "longer const label name",
			change: func(f *Family) { f.ConstLabels[0].Name = strings.Repeat("l", MaxNameBytes+1) },
			saying: "label name of 65537 bytes",
		},
		{
			name:   "longer const label value",
			change: func(f *Family) { f.ConstLabels[0].Value = strings.Repeat("v", MaxLabelBytes+1) },
			saying: "value of 4194305 bytes",
		},
		{
			name:   "label process of a Sum gauge",
			change: func(f *Family) { f.Type, f.Mode, f.Bounds, f.LabelNames[0] = Gauge, Sum, nil, "process" },
			saying: "",
		},
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
		{name: "as it is", change: func(*Family, *Total) {}, saying: ""},
		{name: "buckets of another family", change: func(_ *Family, t *Total) { t.Buckets = t.Buckets[1:] }, saying: "4 buckets, want 5"},
		{name: "no value", change: func(_ *Family, t *Total) { t.Values = nil }, saying: "0 label values"},
		{name: "part that is not finite", change: func(_ *Family, t *Total) { t.Parts[0] = math.Inf(-1) }, saying: "part -Inf"},
		{name: "histogram that was set", change: func(_ *Family, t *Total) { t.Set = 1 }, saying: "gauge values"},
		{name: "live gauge", change: func(f *Family, t *Total) { f.Type, f.Mode, f.Bounds, t.Buckets = Gauge, LiveSum, nil, nil }, saying: "livesum"},
		{
			name:   "gauge of each process",
			change: func(f *Family, t *Total) { f.Type, f.Mode, f.Bounds, t.Buckets = Gauge, All, nil, nil },
			saying: "all",
		},
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
		{name: "as it is", change: func(*Native) {}, saying: ""},
		{name: "lower schema", change: func(n *Native) { n.Schema = MinSchema - 1 }, saying: "schema -5"},
		{name: "higher schema", change: func(n *Native) { n.Schema = MaxSchema + 1 }, saying: "schema 9"},
		{name: "custom buckets", change: func(n *Native) { n.Schema = -53 }, saying: "schema -53"},
		{name: "threshold NaN", change: func(n *Native) { n.Threshold = math.NaN() }, saying: "threshold NaN"},
		{name: "threshold below zero", change: func(n *Native) { n.Threshold = -1 }, saying: "threshold -1"},
		{name: "threshold +Inf", change: func(n *Native) { n.Threshold = math.Inf(+1) }, saying: "threshold +Inf"},
		{name: "buckets that descend", change: func(n *Native) { n.Positive[1].Index = -6 }, saying: "bucket -6 after -5"},
		{name: "bucket twice", change: func(n *Native) { n.Negative = append(n.Negative, n.Negative[0]) }, saying: "bucket 0 after 0"},
		{name: "bucket of infinity", change: func(n *Native) { n.Positive[1].Index = 1024/2 + 1 }, saying: ""},
		{name: "bucket behind infinity", change: func(n *Native) { n.Positive[1].Index = 1024/2 + 2 }, saying: "beyond the numbers"},
		{name: "bucket of infinity in a fine schema", change: func(n *Native) { n.Schema, n.Positive[1].Index = 3, 1024<<3+1 }, saying: ""},
		{
			name:   "bucket behind infinity in a fine schema",
			change: func(n *Native) { n.Schema, n.Positive[1].Index = 3, 1024<<3+2 },
			saying: "beyond the numbers",
		},
		{
			name:   "bucket below the smallest number",
			change: func(n *Native) { n.Schema, n.Negative[0].Index = 0, -1075 },
			saying: "beyond the numbers",
		},
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
		case r.Gone != nil:
			again = AppendGone(nil, *r.Gone)
		case r.Share != nil:
			again = AppendShare(nil, *r.Share)
		case r.State != nil:
			again = AppendState(nil, r.State)
		case r.Uptimes != nil:
			again = AppendUptimes(nil, *r.Uptimes)
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
		case r.Base != nil:
			again = AppendBase(nil, *r.Base)
		case r.Counted != nil:
			again = AppendCounted(nil, r.Counted)
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
