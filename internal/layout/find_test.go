package layout

import "testing"

func TestFindHeader(t *testing.T) {
	h := &Header{PID: 7, ID: NewID(), PageSize: PageSize, Host: "h", Program: "shop", Process: "p", BootID: "b"}
	record := h.Encode()
	broken := append([]byte{}, record...)
	broken[headerTextsAt+1]++
	junk := []byte("junk mpmetri mpmetric junk")
	for _, c := range []struct {
		what  string
		bytes []byte
		found bool
	}{
		{"nothing", nil, false},
		{"junk", junk, false},
		{"alone", record, true},
		{"amid junk", append(append(append([]byte{}, junk...), record...), junk...), true},
		{"behind a broken one", append(append([]byte{}, broken...), record...), true},
		{"broken", broken, false},
		{"cut short", record[:len(record)-1], false},
	} {
		got := FindHeader(c.bytes)
		if (got != nil) != c.found || got != nil && *got != *h {
			t.Errorf("%s: %+v", c.what, got)
		}
	}
}
