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
		{what: "nothing", bytes: nil, found: false},
		{what: "junk", bytes: junk, found: false},
		{what: "alone", bytes: record, found: true},
		{what: "amid junk", bytes: append(append(append([]byte{}, junk...), record...), junk...), found: true},
		{what: "behind a broken one", bytes: append(append([]byte{}, broken...), record...), found: true},
		{what: "broken", bytes: broken, found: false},
		{what: "cut short", bytes: record[:len(record)-1], found: false},
	} {
		got := FindHeader(c.bytes)
		if (got != nil) != c.found || got != nil && *got != *h {
			t.Errorf("%s: %+v", c.what, got)
		}
	}
}
