// Package boot names the boot of the machine. After another boot, the last seconds of writes to a
// disk may be missing.
//
// Containers hide the name that the kernel gives to a boot: LXC and systemd-nspawn mount a file with a
// random name over the name of the kernel, another name at each start of the container. But all
// processes of a machine know the moment of the boot, by two clocks of the kernel. So an id has the
// moment too.
package boot

import (
	"fmt"
	"math"
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
	id, begin, now := name(), first(), moment()
	if !now.IsZero() && apart(now, begin) {
		id += At(now)
	}
	if !begin.IsZero() {
		id += At(begin)
	}
	return id
}

// At is the part of an id with a moment, to the microsecond.
func At(moment time.Time) string {
	return fmt.Sprintf("@%d.%06d", moment.Unix(), moment.Nanosecond()/1000)
}

var (
	name  = sync.OnceValue(nameOf)
	first = sync.OnceValue(moment)
)

// Uptime is the time since the boot, with the time that the machine slept. Nobody can set the
// uptime. 0: this system has no such clock.
func Uptime() time.Duration { return uptime() }

// tolerance is how far two moments of one boot may be apart: leap seconds, and steps of the wall clock
// to the right time. A machine takes longer from one boot to the next.
const tolerance = 10 * time.Second

func apart(a, b time.Time) bool { return a.Sub(b).Abs() > tolerance }

// moment returns the moment of the boot by both clocks, zero if unknown. While nobody sets the wall
// clock, all moments of a boot are the same to some microseconds: a wall clock that is slewed slews the
// uptime too.
func moment() (m time.Time) {
	const near, tries = 10 * time.Microsecond, 10
	for best, try := time.Duration(math.MaxInt64), 0; try < tries && best > near; try++ {
		before, wall, after := Uptime(), time.Now(), Uptime()
		if before == 0 {
			return time.Time{}
		}
		if after-before < best { // the kernel may run others between two looks
			best, m = after-before, wall.Add(-after+(after-before)/2)
		}
	}
	return m
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

// Began returns the uptime of the machine at the start of a process. start is in Unix nanoseconds, by
// the wall clock of the process, and id is in the file of the process. A process that saw the wall
// clock being set has two moments: the later uptime counts.
func Began(id string, start int64) (uptime time.Duration, known bool) {
	for _, m := range moments(strings.Split(id, "@")) {
		uptime, known = max(uptime, time.Unix(0, start).Sub(m)), true
	}
	return uptime, known
}

func byKernel(name string) bool { return name != "" && !strings.HasPrefix(name, ofContainer) }

func moments(parts []string) (all []time.Time) {
	for _, text := range parts[1:] {
		seconds, err := strconv.ParseFloat(text, 64)
		if err == nil && math.Abs(seconds) < math.MaxInt64/float64(time.Second) {
			all = append(all, time.Unix(0, int64(seconds*float64(time.Second))))
		}
	}
	return all
}
