package ownerfile

import (
	"sync/atomic"

	"github.com/mpmetrics/mpmetrics/internal/fork"
	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// tail is the slab that is being filled, and the one prepared to follow it.
// Guarded by File.mu.
type tail struct {
	current *slab
	used    int     // bytes of its body
	grown   bool    // it is not the first slab
	slabs   []*slab // filled, and the current one

	spare *slab // nil until Grow has made it
	need  int   // bytes that the spare has to have room for, when one was asked for
	asked bool
}

func (t *tail) install(s *slab) {
	t.current, t.used = s, 0
	t.slabs = append(t.slabs, s)
}

// put writes a record for which there is room, and publishes it.
func (t *tail) put(payload []byte, word uint64) {
	if t.used+layout.RecordBytes(len(payload))+layout.WordBytes > t.current.body() {
		// The spare is in the file since Grow, and empty. The continuation
		// makes it part of the log.
		t.current.word(t.used).Store(layout.ContinueWord(t.spare.header.Number))
		t.advance()
	}
	copy(t.current.bytes(t.used+layout.RecordWordBytes), payload)
	// Last, at once: from here on the record is there, for readers and after
	// the death of this process.
	t.current.word(t.used).Store(word)
	t.used += layout.RecordBytes(len(payload))
}

// room reports whether so many bytes fit into the current slab, or else into
// the spare.
func (t *tail) room(bytes int) bool {
	return t.used+bytes <= t.current.body() || t.spare != nil && bytes <= t.spare.body()
}

// advance goes on in the spare. It is the first thing that asks for the next.
func (t *tail) advance() {
	t.install(t.spare)
	t.spare, t.grown = nil, true
}

// ask wakes whoever calls Grow.
func (p *File) ask(t *tail, bytes int) {
	t.need = max(t.need, bytes)
	t.asked = true
	select {
	case p.wanted <- struct{}{}:
	default: // it has been told
	}
}

// prepare asks for a spare when there is none and should be.
func (p *File) prepare(t *tail) {
	if t.spare == nil && !t.asked && (t.grown || t.used > t.current.body()/firstPrepareAt) {
		p.ask(t, 0)
	}
}

// refuses reports whether nothing can be appended: a process that was forked would
// write where its parent does.
func (p *File) refuses() bool { return p.dead || fork.Foreign(p.pid) }

// logRoom reports whether payloads of so many bytes can be appended now, all of
// them, and asks for room if not. The last word of a slab is kept for the
// continuation.
func (p *File) logRoom(payloads ...int) bool {
	need := layout.WordBytes
	for _, n := range payloads {
		need += layout.RecordBytes(n)
	}
	if p.refuses() {
		return false
	}
	if !p.log.room(need) {
		p.ask(&p.log, need)
		return false
	}
	// In the other log there will be room as soon as it is the only one.
	return p.next == nil || p.next.room(need)
}

// append writes a record for which there is room, and publishes it.
func (p *File) append(payload []byte) {
	word := layout.RecordWord(payload)
	if p.next != nil {
		p.next.put(payload, word)
	}
	p.log.put(payload, word)
	p.logBytes += layout.RecordBytes(len(payload))
	p.prepare(&p.log)
}

// place finds room for a run of cells without taking it, and asks for room if
// there is none.
func (p *File) place(words int) (r Run, again, ok bool) {
	t := &p.cells
	size := words * layout.WordBytes
	if p.refuses() {
		return Run{}, false, false
	}
	if r, ok := p.freed.top(words); ok {
		return r, true, true
	}
	if t.aligned(words)+size > t.current.body() {
		if t.spare == nil || size > t.spare.body() {
			p.ask(t, size)
			return Run{}, false, false
		}
		t.advance()
	}
	return Run{slab: t.current, word: uint32(t.aligned(words) / layout.WordBytes), words: uint32(words)}, false, true
}

// take marks the cells that place has found as used and returns them. again says
// that they were those of another series before.
func (p *File) take(r Run, again bool) []atomic.Uint64 {
	first, words := int(r.word), int(r.words)
	if again {
		p.freed.pop(words)
	} else {
		t := &p.cells
		t.used = (first + words) * layout.WordBytes
		p.prepare(t)
	}
	return r.slab.words(first, words)
}

// aligned is where a run of so many words would start, in bytes.
func (t *tail) aligned(words int) int {
	align := layout.CellAlignment(words) * layout.WordBytes
	return (t.used + align - 1) / align * align
}
