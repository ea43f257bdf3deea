package ownerfile

import (
	"sync/atomic"

	"github.com/mpmetrics/mpmetrics/internal/fork"
	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// tail has the slab at the end of a log or of the cells, and the spare, prepared to follow the
// slab. Guarded by File.mu.
type tail struct {
	current *slab
	used    int     // used bytes of the body of current
	bytes   int     // of all records of the log
	grown   bool    // current is not the first slab
	slabs   []*slab // the full slabs, and current

	spare *slab // nil until Grow makes a spare
	need  int   // least bytes of room in the requested spare
	asked bool
}

func (t *tail) install(s *slab) {
	t.current, t.used = s, 0
	t.slabs = append(t.slabs, s)
}

// put writes a record and publishes the record. The caller has checked the room.
func (t *tail) put(payload []byte, word uint64) {
	if t.used+layout.RecordBytes(len(payload))+layout.WordBytes > t.current.body() {
		// The spare is in the file since Grow, and empty. The continuation makes the spare part of
		// the log.
		t.current.word(t.used).Store(layout.ContinueWord(t.spare.header.Number))
		t.advance()
	}
	copy(t.current.bytes(t.used+layout.RecordWordBytes), payload)
	// The word comes last, in one store: from now on the record exists, for readers and after the
	// death of the process.
	t.current.word(t.used).Store(word)
	t.used += layout.RecordBytes(len(payload))
	t.bytes += layout.RecordBytes(len(payload))
}

// room reports whether so many bytes fit into the current slab, or else into
// the spare.
func (t *tail) room(bytes int) bool {
	return t.used+bytes <= t.current.body() || t.spare != nil && bytes <= t.spare.body()
}

// advance goes on in the spare. The next call of prepare asks for another spare.
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
	default: // a request is pending
	}
}

// prepare asks for a spare when there is none and should be.
func (p *File) prepare(t *tail) {
	if t.spare == nil && !t.asked && (t.grown || t.used > t.current.body()/firstPrepareAt) {
		p.ask(t, 0)
	}
}

// refuses reports whether appends are refused. A forked process would write into the file of its
// parent.
func (p *File) refuses() bool { return p.dead || fork.Foreign(p.pid) }

// logRoom reports whether all payloads of so many bytes can be appended now. If not, logRoom asks
// for room. The last word of a slab is kept for the continuation.
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
	// A full new log has room again as soon as the new log is the only log.
	return p.next == nil || p.next.room(need)
}

// append writes a record and publishes the record. The caller has checked the room.
func (p *File) append(payload []byte) {
	word := layout.RecordWord(payload)
	if p.next != nil {
		p.next.put(payload, word)
	}
	p.log.put(payload, word)
	p.prepare(&p.log)
}

// place finds room for a run of cells without taking the room, and asks for room if the slabs are
// full.
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

// take marks the cells found by place as used and returns the cells. again reports that an earlier
// series had the cells.
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
