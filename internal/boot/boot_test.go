package boot

import (
	"strings"
	"testing"
	"time"
)

// Two ids differ when two names of the kernel differ, or, where a container hides a name, the moments.
func TestIDsDiffer(t *testing.T) {
	for _, c := range []struct {
		name string
		a, b string
		want bool
	}{
		{name: "one boot", a: "k@1000", b: "k@1000"},
		{name: "one boot, the clock was set", a: "k@1000", b: "k@9000"},
		{name: "two boots", a: "k@1000", b: "l@9000", want: true},
		{name: "two boots within seconds", a: "k@1000", b: "l@1003", want: true},
		{name: "two boots of an earlier version", a: "k", b: "l", want: true},
		{name: "host and container", a: "k@1000", b: "~c@1001"},
		{name: "host and container, another boot", a: "k@1000", b: "~c@1100", want: true},
		{name: "two containers", a: "~c@1000", b: "~d@1000"},
		{name: "two containers, another boot", a: "~c@1000", b: "~d@1100", want: true},
		{name: "one container, the clock was set", a: "~c@1000", b: "~c@9000"},
		{name: "no /proc", a: "@1000", b: "k@1000"},
		{name: "no /proc, another boot", a: "@1000", b: "k@1100", want: true},
		{name: "container and a version without moments", a: "~c@1000", b: "k"},
		{name: "clock set meanwhile, file from before", a: "~c@1000", b: "k@9000@1000"},
		{name: "clock set meanwhile, file from after", a: "~c@9003", b: "k@9000@1000"},
		{name: "clock set meanwhile, another boot", a: "~c@5000", b: "k@9000@1000", want: true},
		{name: "unknown", a: "", b: "k@1000"},
		{name: "both unknown"},
		{name: "no number", a: "~c@x", b: "k@1000"},
		{name: "not a time", a: "~c@1e300", b: "k@1000"},
		{name: "not a number", a: "~c@NaN", b: "k@1000"},
		{name: "parts of a second", a: "~c@1000.25", b: "k@1000.75"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Differ(c.a, c.b); got != c.want {
				t.Errorf("%q and %q differ: %v, want %v", c.a, c.b, got, c.want)
			}
			if got := Differ(c.b, c.a); got != c.want {
				t.Errorf("%q and %q differ: %v, want %v", c.b, c.a, got, c.want)
			}
		})
	}
}

func TestIDIsAlwaysTheSame(t *testing.T) {
	id := ID()
	if Differ(id, ID()) || strings.ContainsAny(id, " \n") {
		t.Errorf("ids %q and %q", id, ID())
	}
	if up, known := Began(id, time.Now().UnixNano()); Uptime() > 0 && (!known || (up-Uptime()).Abs() > time.Minute) {
		t.Errorf("began at an uptime of %v (known: %v), want %v", up, known, Uptime())
	}
}

// All looks at both clocks see one moment.
func TestMomentsAgree(t *testing.T) {
	if Uptime() == 0 {
		t.Skip("this system has no such clock")
	}
	begin := moment()
	for range 1000 {
		if now := moment(); now.Sub(begin).Abs() > time.Second {
			t.Fatalf("moment %v, and %v before", now, begin)
		}
	}
	read := moments(strings.Split("k"+At(begin), "@"))
	if len(read) != 1 || read[0].Sub(begin).Abs() > 2*time.Microsecond {
		t.Errorf("read %v, want %v", read, begin)
	}
}
