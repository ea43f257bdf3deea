package publisher_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/remote"
	"github.com/mpmetrics/mpmetrics/internal/testing/memoryserver"
)

// Whatever somebody puts into the hashes of one process, what the others count is exact, in
// a reader that saw it come and in one that did not, and they are absorbed.
func TestHostileValues(t *testing.T) {
	const others, rounds = 3, 1500
	w := &world{t: t, rand: rand.New(rand.NewPCG(rand.Uint64(), 0)), server: memoryserver.New()}
	m := &model{T: t, world: w}
	old := m.newReader(nil)
	defer old.scanner.Close()
	var processes []*process
	absorbed := 0
	for i := range others + 1 {
		p := newModelProcess(w, fmt.Sprint("p", i))
		p.add(w, counter, fmt.Sprint(i))
		processes = append(processes, p)
	}
	hostile := processes[others]
	check := func(r *reader, what string, round int) {
		t.Helper()
		shown, err := r.scan()
		if err != nil {
			t.Fatalf("round %d: %s: %v", round, what, err)
		}
		for i := range others {
			s := shown["c_total"+fmt.Sprint(i)]
			if want := float64(processes[i].values["c_total"+fmt.Sprint(i)][0]); s == nil || r.merger.Counter(s) != want {
				t.Fatalf("round %d: %s: process %d: %v, want %v", round, what, i, s, want)
			}
		}
	}
	for round := range rounds {
		for i, p := range processes[:others] {
			p.values["c_total"+fmt.Sprint(i)][0]++
			p.mustFlush(t)
		}
		if round%3 == 0 {
			hostile.count(w)
			hostile.flush(false) // whatever comes of it
		}
		w.server.Do(func(s *memoryserver.State) {
			for _, p := range s.Partitions {
				if h, err := layout.DecodeHeader([]byte(p.Header)); err == nil && h.Process == hostile.name {
					tamper(w.rand, p)
				}
			}
		})
		check(old, "one that saw it come", round)
		if round%10 == 0 {
			r := m.newReader(nil)
			check(r, "a new one", round)
			r.scanner.Close()
		}
		if round%50 == 49 {
			w.server.Advance(2 * modelLife)
			absorbed += w.absorb(t).Absorbed
			check(old, "behind an absorption", round)
		}
	}
	if absorbed < others*rounds/50 {
		t.Errorf("absorbed %d", absorbed)
	}
}

// tamper changes something in the hashes of a partition.
func tamper(r *rand.Rand, p *memoryserver.Partition) {
	hash := []map[string]string{p.Families, p.Series, p.Values}[r.IntN(3)]
	noise := func() string {
		b := make([]byte, r.IntN(40))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return string(b)
	}
	var fields []string
	for field := range hash {
		fields = append(fields, field)
	}
	if len(fields) == 0 || r.IntN(4) == 0 {
		hash[[]string{"0", "1", "", "00", "-1", "99999999999999999999", "x", remote.MirrorField, remote.BaseField + "n", remote.ExemplarField + "c_total", noise()}[r.IntN(11)]] = noise()
		return
	}
	field := fields[r.IntN(len(fields))]
	switch b := []byte(hash[field]); {
	case len(b) == 0 || r.IntN(4) == 0:
		hash[field] = noise()
	case r.IntN(4) == 0:
		delete(hash, field)
	case r.IntN(3) == 0:
		hash[field] = string(b[:r.IntN(len(b))])
	default:
		b[r.IntN(len(b))] ^= 1 << r.IntN(8)
		hash[field] = string(b)
	}
	if r.IntN(20) == 0 {
		p.Header = noise()
	}
	if r.IntN(20) == 0 {
		p.Seq, p.Start = r.Uint64(), int64(r.Uint64())
	}
}
