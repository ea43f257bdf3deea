//go:build unix

package soak

import (
	"errors"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// witness checks scrapes against the board.
type witness struct {
	t     *testing.T
	board *board
	blind *blindness
}

// source is one who is scraped, again and again.
type source struct {
	name    string
	gather  func() ([]*dto.MetricFamily, error)
	pause   time.Duration // between two scrapes
	scrapes int
	shown   notes // the largest values so far
}

// errDisturbed is the error of a source that was killed meanwhile.
var errDisturbed = errors.New("the source was killed")

// blindness is the time in which a total may lack the counts of a process: after its file was
// removed, and before the process has made another file.
type blindness struct {
	mu    sync.Mutex
	now   int // removals without another file yet
	times int // removals so far
}

func (b *blindness) begin() { b.mu.Lock(); defer b.mu.Unlock(); b.now++; b.times++ }
func (b *blindness) end()   { b.mu.Lock(); defer b.mu.Unlock(); b.now-- }

// look reports whether totals may lack counts, and how many removals there were.
func (b *blindness) look() (blind bool, times int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now > 0, b.times
}

// scrape checks one scrape of a source. With all, series that no living process has must be shown too.
func (w *witness) scrape(s *source, all bool) {
	blind, times := w.blind.look()
	certain := read(w.board.certain)
	families, err := s.gather()
	if errors.Is(err, errDisturbed) {
		return
	}
	begun := read(w.board.begun)
	stillBlind, now := w.blind.look()
	blind = blind || stillBlind || now != times
	s.scrapes++
	if err != nil {
		if !blind {
			w.t.Errorf("%s: scrape %d: %v", s.name, s.scrapes, err)
		}
		return
	}
	got, problems := factsOf(families)
	for _, problem := range problems {
		w.t.Errorf("%s: scrape %d: %s", s.name, s.scrapes, problem)
	}
	for f, v := range got {
		f := fact(f)
		low, high := certain[f], begun[f]
		switch f {
		case ended:
			continue
		case alive, each, present:
			low, high = certain[f]-begun[ended], begun[f]-certain[ended]
		default:
			if !blind && v >= 0 && v < s.shown[f] {
				w.t.Errorf("%s: scrape %d: %s falls from %v to %v", s.name, s.scrapes, f, s.shown[f], v)
			}
		}
		if v > high || !blind && v < low && (v >= 0 || all || f < churned) {
			w.t.Errorf("%s: scrape %d: %s is %v, want %v to %v", s.name, s.scrapes, f, v, low, high)
		}
		if !blind {
			s.shown[f] = max(v, s.shown[f])
		}
	}
}
