// Package boot names the boot of the machine. After another boot, the last seconds of writes to a
// disk may be missing.
//
// Containers hide the name that the kernel gives to a boot: LXC and systemd-nspawn mount a file with a
// random name over the name of the kernel, another name at each start of the container. But all
// processes of a machine know the moment of the boot, by two clocks of the kernel. So an id has the
// moment too.
package boot

import (
	"strconv"
	"strings"
	"sync"
	"time"
)

// ID names the boot:
//
//	NAME@MOMENT         the name that the kernel gave to the boot, and the moment in Unix seconds
//	~NAME@MOMENT        the name that the container gave to the boot
//	NAME@MOMENT@MOMENT  the wall clock was set: the moment by the clock of now, and by the clock of
//	                    the first call
//
// Each part may be missing. Empty: unknown.
func ID() string {
	id, begin, now := name(), first(), moment(time.Now(), Uptime())
	if now != 0 && apart(now, begin) {
		id += "@" + strconv.FormatInt(now, 10)
	}
	if begin != 0 {
		id += "@" + strconv.FormatInt(begin, 10)
	}
	return id
}

var (
	name  = sync.OnceValue(nameOf)
	first = sync.OnceValue(func() int64 { return moment(time.Now(), Uptime()) })
)

// Uptime is the time since the boot, with the time that the machine slept. Nobody can set the
// uptime. 0: this system has no such clock.
func Uptime() time.Duration { return uptime() }

// tolerance is how far two moments of one boot may be apart: leap seconds, and steps of the wall clock
// to the right time. A machine takes longer from one boot to the next.
const tolerance = 10 // seconds

func apart(a, b int64) bool { return max(a-b, b-a) > tolerance }

// moment returns the Unix second of the boot by both clocks, 0 if unknown. While nobody sets the wall
// clock, all moments of a boot are the same: a wall clock that is slewed slews the uptime too.
func moment(wall time.Time, uptime time.Duration) int64 {
	if uptime == 0 {
		return 0
	}
	return wall.Add(-uptime).Unix()
}

// ofContainer begins a name that a container gave to a boot.
const ofContainer = "~"

// Differ reports whether two ids name different boots. Equal names, and two names of the kernel,
// decide. Otherwise the moments decide. Without both, Differ returns false.
func Differ(a, b string) bool {
	x, y := strings.Split(a, "@"), strings.Split(b, "@")
	switch {
	case x[0] == y[0] && x[0] != "":
		return false
	case byKernel(x[0]) && byKernel(y[0]):
		return true
	}
	known := false
	for _, p := range moments(x) {
		for _, q := range moments(y) {
			if known = true; !apart(p, q) {
				return false
			}
		}
	}
	return known
}

func byKernel(name string) bool { return name != "" && !strings.HasPrefix(name, ofContainer) }

func moments(parts []string) (all []int64) {
	for _, text := range parts[1:] {
		if m, err := strconv.ParseInt(text, 10, 64); err == nil {
			all = append(all, m)
		}
	}
	return all
}
