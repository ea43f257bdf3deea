package layout

import "testing"

func TestProgramOfArguments(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{args: nil, want: ""},
		{args: []string{}, want: ""},
		{args: []string{""}, want: "."},
		{args: []string{"/usr/bin/shop", "-v"}, want: "shop"},
	} {
		if got := ProgramOf(tt.args); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.args, got, tt.want)
		}
	}
}
