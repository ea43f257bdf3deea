// Package schedule runs a few goroutines in every interleaving of their atomic operations, up to a
// number of preemptions. The packages below stand in the place of sync/atomic, sync and runtime in
// the tested code: each of their operations calls Point before its effect.
//
// A test builds the tested package with other imports, by an overlay (overlay.go).
package schedule

import "fmt"

// mostSteps bounds one schedule: a longer schedule never ends.
const mostSteps = 100_000

// run is one schedule. One thread runs at a time.
type run struct {
	path    []int // choices, as far as known
	limits  []int // number of options of each choice
	at      int   // next choice
	left    int   // preemptions
	steps   int
	now     int // the running thread
	ended   []bool
	resume  []chan struct{}
	done    chan struct{}
	endless bool
}

// current is nil while no threads run.
var current *run

// Explore runs the threads that begin makes, in each schedule with at most so many preemptions, and
// calls end after each schedule. Explore stops at the first error of end. Explore returns the number
// of schedules.
func Explore(preemptions int, begin func() []func(), end func() error) (schedules int, err error) {
	for path := []int{}; ; {
		threads := begin()
		r := &run{path: path, left: preemptions, ended: make([]bool, len(threads)), done: make(chan struct{})}
		r.limits = r.limits[:0]
		for range threads {
			r.resume = append(r.resume, make(chan struct{}))
		}
		for i, thread := range threads {
			go func() {
				<-r.resume[i]
				thread()
				r.end()
			}()
		}
		current = r
		r.switchTo(r.others()[r.choose(len(threads))])
		<-r.done
		current = nil
		schedules++
		if r.endless {
			return schedules, fmt.Errorf("schedule %v: %d steps, and no end", r.path, r.steps)
		}
		if err := end(); err != nil {
			return schedules, fmt.Errorf("schedule %v: %w", r.path, err)
		}
		path = next(r.path, r.limits)
		if path == nil {
			return schedules, nil
		}
	}
}

// next returns the choices of the next schedule, nil after the last.
func next(path, limits []int) []int {
	for i := len(path) - 1; i >= 0; i-- {
		if path[i]+1 < limits[i] {
			path = path[: i+1 : i+1]
			path[i]++
			return path
		}
	}
	return nil
}

// choose makes the next choice of so many options.
func (r *run) choose(options int) int {
	if r.at == len(r.path) {
		r.path = append(r.path, 0)
	}
	r.limits = append(r.limits[:r.at], options)
	r.at++
	return r.path[r.at-1]
}

// others returns the threads that can run, without the running thread, the next thread first.
func (r *run) others() (all []int) {
	for i := range r.ended {
		if thread := (r.now + 1 + i) % len(r.ended); !r.ended[thread] && (thread != r.now || r.at == 0) {
			all = append(all, thread)
		}
	}
	return all
}

func (r *run) switchTo(thread int) {
	r.now = thread
	r.resume[thread] <- struct{}{}
}

// pause lets another thread run, until the running thread is resumed.
func (r *run) pause(thread int) {
	mine := r.now
	r.switchTo(thread)
	<-r.resume[mine]
}

// end ends the running thread.
func (r *run) end() {
	r.ended[r.now] = true
	others := r.others()
	if len(others) == 0 {
		close(r.done)
		return
	}
	r.switchTo(others[r.choose(len(others))])
}

// Point is a point at which the running thread may be preempted.
func Point() {
	r := current
	if r == nil {
		return
	}
	r.steps++
	if r.left == 0 || r.steps > mostSteps {
		return
	}
	others := r.others()
	if len(others) == 0 {
		return
	}
	if chosen := r.choose(1 + len(others)); chosen > 0 {
		r.left--
		r.pause(others[chosen-1])
	}
}

// Yield lets the next thread run: the running thread waits for another.
func Yield() {
	r := current
	if r == nil {
		return
	}
	r.steps++
	if r.steps > mostSteps {
		r.endless = true
		panic("the schedule does not end")
	}
	if others := r.others(); len(others) > 0 {
		r.pause(others[0])
	}
}
