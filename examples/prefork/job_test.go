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
		{argument: "card=0.1", want: order{"card", 0.1}, problem: ""},
		{argument: "invoice=20", want: order{"invoice", 20}, problem: ""},
		{argument: "card", want: order{}, problem: "want payment=euros"},
		{argument: "card=ten", want: order{}, problem: "want payment=euros"},
		{argument: "card=-1", want: order{}, problem: "not a payable amount"},
		{argument: "card=NaN", want: order{}, problem: "not a payable amount"},
		{argument: "card=+Inf", want: order{}, problem: "not a payable amount"},
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
