package main

import (
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
)

// bar is a progress bar on a terminal, and nothing elsewhere.
type bar struct {
	writer  progress.Writer // nil: none
	tracker *progress.Tracker
}

// fewForBar is an amount of work too short for a bar.
const fewForBar = 100

// progress shows the progress of work in so many steps on standard error.
func (e *environment) progress(what string, steps int) *bar {
	width, ok := terminal(e.stderr)
	if !ok || steps < fewForBar {
		return &bar{}
	}
	w := progress.NewWriter()
	w.SetOutputWriter(raw(e.stderr))
	w.SetTrackerLength(max(10, min(40, width-40)))
	w.SetUpdateFrequency(100 * time.Millisecond)
	w.SetAutoStop(false)
	w.SetTrackerPosition(progress.PositionRight)
	w.Style().Visibility.TrackerOverall = false
	t := &progress.Tracker{Message: what, Total: int64(steps)}
	w.AppendTracker(t)
	go w.Render()
	return &bar{w, t}
}

// set says how many steps are done.
func (b *bar) set(done int) {
	if b.writer != nil {
		b.tracker.SetValue(int64(done))
	}
}

// follow asks how many steps are done until stop is called.
func (b *bar) follow(done func() int) (stop func()) {
	if b.writer == nil {
		return func() {}
	}
	over := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-over:
				return
			case <-time.After(100 * time.Millisecond):
				b.set(done())
			}
		}
	}()
	return func() {
		close(over)
		<-ended
		b.end()
	}
}

// end takes the bar away.
func (b *bar) end() {
	if b.writer == nil {
		return
	}
	b.tracker.MarkAsDone()
	b.writer.Stop()
	for b.writer.IsRenderInProgress() {
		time.Sleep(time.Millisecond)
	}
}
