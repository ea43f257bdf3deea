package main

import (
	"strings"
	"testing"
)

func TestParseOrder(t *testing.T) {
	tests := []struct {
		argument string
		want     order
		problem  string // part of the error; "" for none
	}{
		{"card=0.1", order{"card", 0.1}, ""},
		{"invoice=20", order{"invoice", 20}, ""},
		{"card", order{}, "want payment=euros"},
		{"card=ten", order{}, "want payment=euros"},
		{"card=-1", order{}, "not a payable amount"},
		{"card=NaN", order{}, "not a payable amount"},
		{"card=+Inf", order{}, "not a payable amount"},
	}
	for _, test := range tests {
		got, err := parseOrder(test.argument)
		if got != test.want {
			t.Errorf("%s: got %v, want %v", test.argument, got, test.want)
		}
		if (err == nil) != (test.problem == "") || err != nil && !strings.Contains(err.Error(), test.problem) {
			t.Errorf("%s: got error %v, want %q", test.argument, err, test.problem)
		}
	}
}
