//go:build unix

package fuzz

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// T5: whatever becomes of a file, it costs nobody else anything: a scrape
// answers, in time and with little memory, with the exact values of the others,
// and an absorption gets over it.
func TestT5Damage(t *testing.T) {
	seeds := 200
	if os.Getenv("MPMETRICS_SOAK") != "" {
		seeds = 1000
	}
	if testing.Short() {
		seeds = 20
	}
	for _, c := range classes {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			outcomes := map[string]int{}
			for seed := range seeds {
				content := c.damage(rand.New(rand.NewPCG(uint64(seed), 1)), slices.Clone(w.sound))
				outcomes[w.survive(content)]++
				if t.Failed() {
					t.Fatalf("seed %d, bytes in %s", seed, w.keep(content))
				}
			}
			t.Logf("%d seeds: %v", seeds, outcomes)
		})
	}
}

// FuzzDirectory lets the fuzzer change a file, which then is scraped and
// absorbed. Its input is a script of changes: the file is too long for the
// fuzzer to find its way in it, and has checksums that it would never meet.
func FuzzDirectory(f *testing.F) {
	w := newWorld(f)
	record := func(payload []byte) []byte { return append([]byte{opRecord, byte(len(payload))}, payload...) }
	for _, script := range [][]byte{
		nil,
		{opWrite, 0, 16, 0, 4, 1, 2, 3, 4},
		{opCut, 0, 32, 0},
		{opMeta, 16, 3, 0, 0, 0, 0, 0, 0, 0},
		record(layout.AppendSeries(nil, &layout.Series{Number: 9, Values: []string{"x"}})),
		record(layout.AppendFamily(nil, 9, &layout.Family{Type: layout.Counter, Name: "other_total"})),
		record(layout.AppendGone(nil, layout.Gone{Series: 0})),
		record(layout.AppendShard(nil, layout.Shard{Series: 0, Place: layout.Place{Slab: 1, Word: 100}})),
	} {
		f.Add(script)
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		w := *w
		w.t = t
		w.survive(perform(script, slices.Clone(w.sound)))
	})
}

// The operations of a script.
const (
	opWrite  = iota // offset of 3 bytes, length of 1, bytes
	opCut           // offset
	opRecord        // length of 1, payload: a record at the end of the log, with its checksum
	opMeta          // offset of 1, 8 bytes: into the newest meta page, with its checksum
	operations
)

// perform changes a file as a script says. What the script lacks is zero.
func perform(script, file []byte) []byte {
	take := func(n int) []byte {
		b := make([]byte, n)
		script = script[copy(b, script):]
		return b
	}
	offset := func() int {
		b := take(3)
		return (int(b[0])<<16 | int(b[1])<<8 | int(b[2])) % max(len(file), 1)
	}
	for len(script) > 0 && len(file) > 3*page {
		switch take(1)[0] % operations {
		case opWrite:
			at := offset()
			copy(file[at:], take(int(take(1)[0])))
		case opCut:
			file = file[:offset()]
		case opRecord:
			appendRecord(file, take(int(take(1)[0])))
		case opMeta:
			meta := file[newestMeta(file)+pageHead:][:metaBytes]
			at := int(take(1)[0]) % metaSumAt
			copy(meta[at:metaSumAt], take(8))
			sealMeta(meta)
		}
	}
	return file
}

// appendRecord puts a record at the end of a log that fits one slab.
func appendRecord(file, payload []byte) {
	for p := layout.ValueOffset; p < len(file); p += page {
		h, err := layout.DecodeSlab(file[p:])
		if err != nil || h.Kind != layout.LogSlab {
			continue
		}
		end := min(p+int(h.Bytes), len(file))
		for at := p + layout.SlabHeaderBytes; at+layout.RecordBytes(len(payload))+layout.RecordWordBytes < end; {
			n := layout.RecordLength(binary.NativeEndian.Uint64(file[at:]))
			if n == 0 {
				binary.NativeEndian.PutUint64(file[at:], layout.RecordWord(payload))
				copy(file[at+layout.RecordWordBytes:], payload)
				return
			}
			if int64(n) > int64(end-at) {
				return
			}
			at += layout.RecordBytes(int(n))
		}
	}
}
