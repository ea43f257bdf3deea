package cell

import (
	"testing"
	"unsafe"
)

func TestWords(t *testing.T) {
	backing := make([]uint64, 4)
	b := unsafe.Slice((*byte)(unsafe.Pointer(&backing[0])), 32)
	words := Words(b[:30])
	if got, want := len(words), 3; got != want {
		t.Fatalf("%d words, want %d: the last is not whole", got, want)
	}
	words[2].Store(7)
	if backing[2] != 7 || Plain(words)[2] != 7 {
		t.Errorf("backing %v, plain %v", backing, Plain(words))
	}
	if Words(b[:7]) != nil {
		t.Error("words of seven bytes")
	}
	if Address(b) != unsafe.Pointer(&backing[0]) {
		t.Error("address is another one")
	}
}

func TestWordsRefuseAnOddAddress(t *testing.T) {
	backing := make([]uint64, 4)
	b := unsafe.Slice((*byte)(unsafe.Pointer(&backing[0])), 32)
	defer func() {
		if recover() == nil {
			t.Error("words at an odd address were given out")
		}
	}()
	Words(b[1:])
}
