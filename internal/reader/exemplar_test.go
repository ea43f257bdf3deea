//go:build unix

package reader

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/mirror"
	"github.com/mpmetrics/mpmetrics/internal/ownerfile"
)

func exemplarOf(value float64, labels ...string) *dto.Exemplar {
	e := &dto.Exemplar{Value: new(value), Timestamp: timestamppb.Now()}
	for i := 0; i < len(labels); i += 2 {
		e.Label = append(e.Label, &dto.LabelPair{Name: new(labels[i]), Value: new(labels[i+1])})
	}
	return e
}

func TestExemplars(t *testing.T) {
	p := owner(t)
	f := open(t, p.Path())
	put := func(name string, all ...mirror.Exemplar) {
		t.Helper()
		value, err := mirror.EncodeExemplars(name, all)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Mirror(ownerfile.Mirrored{Exemplars: map[string][]byte{name: value}}); err != nil {
			t.Fatal(err)
		}
	}
	values := func() map[string][]float64 {
		t.Helper()
		if err := f.Refresh(); err != nil {
			t.Fatal(err)
		}
		out := map[string][]float64{}
		for name, all := range f.Exemplars() {
			for _, e := range all {
				out[name] = append(out[name], e.GetValue())
			}
		}
		return out
	}
	labels := []layout.Label{{Name: "b", Value: "1"}, {Name: "a", Value: "2"}}
	put("c", mirror.Exemplar{Labels: labels, Bound: math.NaN(), Exemplar: exemplarOf(1, "trace", "x")})
	put("h", mirror.Exemplar{Bound: 1, Exemplar: exemplarOf(2)}, mirror.Exemplar{Bound: math.Inf(1), Exemplar: exemplarOf(3)})
	if diff := cmp.Diff(map[string][]float64{"c": {1}, "h": {2, 3}}, values()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if e := f.Exemplars()["c"][0]; e.Labels[0].Name != "a" || !math.IsNaN(e.Bound) {
		t.Errorf("labels %v of a counter with bound %v, want them sorted and none", e.Labels, e.Bound)
	}
	put("c", mirror.Exemplar{Bound: math.NaN(), Exemplar: exemplarOf(4)})
	if diff := cmp.Diff(map[string][]float64{"c": {4}, "h": {2, 3}}, values()); diff != "" {
		t.Errorf("changed (-want +got):\n%s", diff)
	}
	if err := p.Mirror(ownerfile.Mirrored{Exemplars: map[string][]byte{"c": nil, "h": nil}}); err != nil {
		t.Fatal(err)
	}
	if got := values(); len(got) != 0 {
		t.Errorf("gone: %v", got)
	}
}

func TestExemplarsDamaged(t *testing.T) {
	bad := exemplarOf(1)
	bad.Timestamp = &timestamppb.Timestamp{Nanos: -1}
	for name, c := range map[string]struct {
		exemplar *dto.Exemplar
		value    []byte // instead
		saying   string
	}{
		"label name":   {exemplar: exemplarOf(1, "", "x"), value: nil, saying: "not valid"},
		"label value":  {exemplar: exemplarOf(1, "a", strings.Repeat("x", 200)), value: nil, saying: "201 runes"},
		"label twice":  {exemplar: exemplarOf(1, "a", "x", "a", "y"), value: nil, saying: "twice"},
		"timestamp":    {exemplar: bad, value: nil, saying: "nanos"},
		"checksum":     {exemplar: nil, value: []byte("12345678901234"), saying: "checksum"},
		"no protobuf":  {exemplar: nil, value: layout.AppendMirror(nil, 0, []byte{0xff, 0xff}), saying: "exemplars"},
		"not a family": {exemplar: nil, value: []byte("1234"), saying: "4 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			p := owner(t)
			value := c.value
			if value == nil {
				var err error
				if value, err = mirror.EncodeExemplars("c", []mirror.Exemplar{{Bound: math.NaN(), Exemplar: c.exemplar}}); err != nil {
					t.Fatal(err)
				}
			}
			if err := p.Mirror(ownerfile.Mirrored{Exemplars: map[string][]byte{"c": value}}); err != nil {
				t.Fatal(err)
			}
			_, err := Open(p.Path())
			wantError(t, err, c.saying)
			if !errors.Is(err, layout.ErrDamaged) {
				t.Errorf("error %v, want %v", err, layout.ErrDamaged)
			}
		})
	}
}
