package layout

import (
	"bytes"
	"errors"
	"testing"
)

func TestMirrorRoundTrip(t *testing.T) {
	for _, m := range []Mode{0, Max, LiveMean} {
		for _, family := range [][]byte{nil, []byte("family")} {
			b := AppendMirror([]byte("before"), m, family)
			mode, got, err := DecodeMirror(b[len("before"):])
			if err != nil || mode != m || !bytes.Equal(got, family) {
				t.Errorf("%v, %q: got %v, %q, %v", m, family, mode, got, err)
			}
		}
	}
}

func TestMirrorDamaged(t *testing.T) {
	sound := AppendMirror(nil, Max, []byte("family"))
	for i := range sound {
		b := bytes.Clone(sound)
		b[i] ^= 1
		if _, _, err := DecodeMirror(b); !errors.Is(err, ErrDamaged) {
			t.Errorf("byte %d flipped: %v, want %v", i, err, ErrDamaged)
		}
	}
	for _, b := range [][]byte{
		nil, sound[:7], AppendMirror(nil, modeEnd, nil), AppendMirror(nil, 0, make([]byte, MaxMirrorBytes+1)),
	} {
		if _, _, err := DecodeMirror(b); !errors.Is(err, ErrDamaged) {
			t.Errorf("%d bytes: %v, want %v", len(b), err, ErrDamaged)
		}
	}
}
