package main

import (
	"fmt"
	"os"
)

// loads is the load average of the machine: a figure from a busy machine says little.
type loads struct {
	before float64
	rounds sample
}

// loadAverage is the load average of a minute, 0 if unknown.
func loadAverage() (load float64) {
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		_, _ = fmt.Sscan(string(text), &load)
	}
	return load
}

func newLoads() *loads { return &loads{before: loadAverage()} }

// note notes the load after a round.
func (l *loads) note() { l.rounds = append(l.rounds, loadAverage()) }

func (l *loads) report() string {
	if len(l.rounds) == 0 || l.rounds.median() == 0 {
		return "The load of the machine is not known."
	}
	return fmt.Sprintf("Load average %.1f before, %.1f to %.1f during half of the rounds; one to two are of the benchmarks.",
		l.before, l.rounds.quantile(0.25), l.rounds.quantile(0.75))
}
