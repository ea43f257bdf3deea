package publisher

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/remote"
)

const (
	// updateBytes bounds one update: a server carries an update out at once, while all other
	// clients wait.
	updateBytes = 256 << 10

	// maxRounds bounds the rounds of one Flush: the first round finds out whether the
	// partition was lost or absorbed.
	maxRounds = 8
)

// Series is one series of a Publisher.
type Series struct {
	family  *layout.Family
	values  []string
	created func() int64
	load    func(words []uint64)

	// For the flush of the Publisher alone.
	at    int // slot plus one; 0: none
	base  []uint64
	share bool // of a deleted series
}

// NewSeries makes a series that was not added yet. created returns the start timestamp, Unix
// nanoseconds, and load writes the value in the words of layout.Family.ValueWords; the
// Publisher calls both at any time.
func NewSeries(f *layout.Family, values []string, created func() int64, load func(words []uint64)) *Series {
	return &Series{family: f, values: values, created: created, load: load}
}

// Publisher publishes the series of one process in a partition of a server.
//
// An update holds the whole content of a block, not the difference. Content that was sent
// and not answered stays unsure, and is sent again until the server answers: nothing depends
// on whether the server has carried the first update out. The server tells the values with
// which a partition was absorbed.
type Publisher struct {
	server remote.Server
	header layout.Header
	live   time.Duration
	now    func() time.Time

	// mu guards the changes between two flushes. mu is held for some instructions
	// only, because new series wait for mu.
	mu    sync.Mutex
	added []addition
	gone  []*Series
	share map[*Series]bool  // series that become shares, or series again
	named map[string]string // values by name; empty: removed

	// flushing guards the fields below, over exchanges with the server.
	flushing sync.Mutex
	epoch    string
	seq      uint64    // that was sent last
	acked    uint64    // that was answered last for this partition; 0: none
	heard    time.Time // when
	state    state
	placed   bool      // it has series
	former   []life    // oldest first
	base     layout.ID // partition that has the bases, while the archive must hold it
	absorbed string    // what it has of it then
	instead  layout.ID // partition that we went back from
	samples  layout.ID // whose All samples are ours again

	families []*layout.Family
	numbers  map[string]uint32
	sure     int // families that the server has

	blocks []*ownBlock
	free   []int // slots
	fields map[string]*field
}

// addition is a new series. A new series replaces an earlier series with the same label
// values, unless nil: a reader sees exactly one of the two.
type addition struct{ series, earlier *Series }

// life is a partition that was absorbed.
type life struct {
	id    layout.ID
	until time.Time            // the absorption came after this moment
	bases map[*Series][]uint64 // the bases in this life
	named map[string]string    // the bases of mirrored families
}

// ownBlock is a block as it was sent.
type ownBlock struct {
	slots   [layout.BlockSlots]*Series
	version uint64
	series  string
	stale   bool // series has to be encoded again
	sent    bool // the server has series
	values  string
	unsure  bool                            // the server may have other values
	known   struct{ series, values string } // the last answered content in this life
}

// field is a value by name. A removed field stays here: a server that went back may have the
// value again.
type field struct {
	value  string // empty: to be removed
	unsure bool
	known  string // the last answered value in this life; empty: none
	base   string // of a mirrored family
	based  bool   // the server has the base
}

// NewPublisher makes a publisher of a process. After each Flush the process counts as live
// for the duration live.
func NewPublisher(s remote.Server, h layout.Header, live time.Duration) *Publisher {
	return &Publisher{
		server: s, header: h, live: live, now: time.Now,
		share: map[*Series]bool{}, named: map[string]string{}, numbers: map[string]uint32{}, fields: map[string]*field{},
	}
}

// Add publishes a series with the next Flush. earlier, unless nil, is a deleted series with
// the same label values.
func (p *Publisher) Add(s, earlier *Series) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.added = append(p.added, addition{s, earlier})
}

// Remove takes a series out with the next Flush.
func (p *Publisher) Remove(s *Series) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone = append(p.gone, s)
}

// SetShare makes a series a share with the next Flush, or a series again.
func (p *Publisher) SetShare(s *Series, share bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.share[s] = share
}

// Set publishes values by name with the next Flush: see remote.MirrorField and
// remote.ExemplarField. An empty value is removed.
func (p *Publisher) Set(named map[string]string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.Copy(p.named, named)
}

// Flush publishes everything, and returns when readers see everything. An error wraps
// remote.ErrUnreachable, and loses nothing: the next Flush sends again.
func (p *Publisher) Flush(ctx context.Context) error { return p.flush(ctx, p.live) }

// End publishes everything for the last time: afterwards the process counts as dead.
func (p *Publisher) End(ctx context.Context) error { return p.flush(ctx, 0) }

func (p *Publisher) flush(ctx context.Context, live time.Duration) error {
	p.flushing.Lock()
	defer p.flushing.Unlock()
	p.takeIn()
	for range maxRounds {
		updates, sent := p.updates(live)
		replies, err := p.server.Update(ctx, updates)
		if err != nil {
			return err
		}
		again := false
		for i, r := range replies {
			if again, err = p.take(ctx, updates[i], r, sent[i]); err != nil {
				return err
			}
			if again {
				break
			}
		}
		if !again {
			return nil
		}
	}
	return fmt.Errorf("%w: lost or absorbed again and again", remote.ErrUnreachable)
}

// takeIn takes the changes since the last flush.
func (p *Publisher) takeIn() {
	p.mu.Lock()
	added, gone, share, named := p.added, p.gone, p.share, p.named
	p.added, p.gone, p.share, p.named = nil, nil, map[*Series]bool{}, map[string]string{}
	p.mu.Unlock()
	for _, a := range added {
		if a.earlier != nil && a.earlier.at > 0 {
			a.series.at, a.earlier.at = a.earlier.at, 0
		} else {
			a.series.at = p.slot() + 1
		}
		b, i := p.place(a.series)
		b.slots[i], b.stale = a.series, true
	}
	for s, is := range share {
		if s.share != is && s.at > 0 {
			b, _ := p.place(s)
			s.share, b.stale = is, true
		}
	}
	for _, s := range gone {
		if s.at == 0 {
			continue
		}
		b, i := p.place(s)
		b.slots[i], b.stale = nil, true
		p.free = append(p.free, s.at-1)
		s.at = 0
	}
	for name, value := range named {
		f := p.fields[name]
		if f == nil {
			f = &field{}
			p.fields[name] = f
		}
		f.value, f.unsure = value, true
	}
}

func (p *Publisher) slot() int {
	if n := len(p.free); n > 0 {
		slot := p.free[n-1]
		p.free = p.free[:n-1]
		return slot
	}
	p.blocks = append(p.blocks, &ownBlock{stale: true})
	first := (len(p.blocks) - 1) * layout.BlockSlots
	for i := layout.BlockSlots - 1; i > 0; i-- {
		p.free = append(p.free, first+i)
	}
	return first
}

func (p *Publisher) place(s *Series) (*ownBlock, int) {
	return p.blocks[(s.at-1)/layout.BlockSlots], (s.at - 1) % layout.BlockSlots
}

// number returns the number of a family.
func (p *Publisher) number(f *layout.Family) uint32 {
	wording := f.Wording()
	n, known := p.numbers[wording]
	if !known {
		n = uint32(len(p.families))
		p.numbers[wording] = n
		p.families = append(p.families, f)
	}
	return n
}

// sending is the content of an update, to be noted when the server answers.
type sending struct {
	begin    bool
	first    int // family
	families int // one after the last family
	series   []*ownBlock
	values   []*ownBlock
	fields   []*field
	bases    []*field
}

// updates returns the changes to the sure content of the server. The content of an update is
// unsure until the server answers.
func (p *Publisher) updates(live time.Duration) (updates []remote.Update, sent []*sending) {
	for _, b := range p.blocks {
		if b.stale {
			p.encode(b)
		}
	}
	var u *remote.Update
	var s *sending
	size := 0
	next := func() {
		p.seq++
		updates = append(updates, remote.Update{
			ID: p.header.ID, Seq: p.seq, After: p.acked, Hashes: p.hashes(), Epoch: p.epoch, Live: live,
			Families: map[string]string{}, Series: map[string]string{}, Values: map[string]string{},
		})
		sent = append(sent, &sending{first: len(p.families)})
		u, s, size = &updates[len(updates)-1], sent[len(sent)-1], 0
	}
	room := func(bytes int) {
		if size += bytes; size > updateBytes && size > bytes {
			next()
			size = bytes
		}
	}
	next()
	if p.state != published {
		h := p.header
		u.Begin, u.Base, u.Absorption, u.Based, u.Instead, u.Former, s.begin = &h, p.base, p.absorbed, len(p.former) > 0, p.instead, p.samples, true
	}
	for n := p.sure; n < len(p.families); n++ {
		record := layout.AppendFamily(nil, uint32(n), p.families[n])
		room(len(record))
		u.Families[remote.Number(n)] = string(record)
		s.first, s.families = min(s.first, n), n+1
	}
	var words []uint64
	var scratch []byte
	for n, b := range p.blocks {
		scratch, words = b.encodeValues(scratch[:0], words)
		if b.sent && !b.unsure && string(scratch) == b.values {
			continue
		}
		b.values, b.unsure = string(scratch), true
		room(len(b.values) + len(b.series))
		name := remote.Number(n)
		if !b.sent {
			u.Series[name] = b.series
			s.series = append(s.series, b)
		}
		u.Values[name] = b.values
		s.values = append(s.values, b)
	}
	for name, f := range p.fields {
		if f.base != "" && !f.based {
			room(len(f.base))
			u.Values[remote.BaseField+name[len(remote.MirrorField):]] = f.base
			s.bases = append(s.bases, f)
		}
		if f.base == "" && p.state != published && strings.HasPrefix(name, remote.MirrorField) {
			// The former content of a partition that starts again may have had a base.
			u.Remove = append(u.Remove, remote.BaseField+name[len(remote.MirrorField):])
		}
		if !f.unsure {
			continue
		}
		room(len(f.value))
		s.fields = append(s.fields, f)
		if f.value != "" {
			u.Values[name] = f.value
			continue
		}
		u.Remove = append(u.Remove, name)
	}
	return updates, sent
}

// hashes returns which hashes of the partition the server has for sure.
func (p *Publisher) hashes() (sure [3]bool) {
	if p.state != published {
		return sure
	}
	sure = [3]bool{p.sure > 0, p.placed, p.placed}
	for _, f := range p.fields {
		sure[2] = sure[2] || f.value != "" && !f.unsure
	}
	return sure
}

// encode encodes the series of a block.
func (p *Publisher) encode(b *ownBlock) {
	slots := make([]*layout.Slot, 0, layout.BlockSlots)
	empty := 0
	for _, s := range b.slots {
		if s == nil {
			empty++
			continue
		}
		for ; empty > 0; empty-- {
			slots = append(slots, nil)
		}
		slots = append(slots, &layout.Slot{Family: p.number(s.family), Created: s.created(), Values: s.values, Base: s.base, Share: s.share})
	}
	p.seq++ // a version that no other block has had
	b.version = p.seq
	b.series = string(layout.AppendSlots(nil, b.version, func(n uint32) *layout.Family { return p.families[n] }, slots))
	b.stale, b.sent = false, false
}

// encodeValues appends the values of a block.
func (b *ownBlock) encodeValues(out []byte, words []uint64) ([]byte, []uint64) {
	out = layout.AppendVersion(out, b.version)
	for _, s := range b.slots {
		if s == nil {
			continue
		}
		n := s.family.ValueWords()
		if cap(words) < n {
			words = make([]uint64, n)
		}
		s.load(words[:n])
		out = layout.AppendWords(out, s.family, words[:n])
	}
	return out, words
}

// take takes the answer to an update. take reports whether everything has to be sent
// again.
func (p *Publisher) take(ctx context.Context, u remote.Update, r remote.Reply, s *sending) (again bool, err error) {
	switch r.Status {
	case remote.Late:
		if r.Seq != u.Seq {
			// A later update came first; the content of this update stays unsure. If this
			// process did not send the later update, the sequence goes on after it.
			p.seq = max(p.seq, r.Seq)
			return true, nil
		}
	case remote.Written:
	case remote.Absorbed:
		return true, p.resume(ctx, r.Epoch)
	case remote.Lost:
		return true, p.restart(ctx, r.Epoch)
	default:
		return false, fmt.Errorf("%w: unknown status %d", remote.ErrUnreachable, r.Status)
	}
	p.epoch, p.acked, p.heard = r.Epoch, u.Seq, p.now()
	if s.begin {
		p.enterState(answered)
		p.samples, p.instead = layout.ID{}, layout.ID{}
	}
	if p.sure >= s.first { // otherwise the update with the families before was late
		p.sure = max(p.sure, s.families)
	}
	for _, b := range s.series {
		b.sent, p.placed = true, true
	}
	for _, b := range s.values {
		b.unsure = false
		b.known.series, b.known.values = b.series, b.values
	}
	for _, f := range s.fields {
		f.unsure, f.known = false, f.value
	}
	for _, f := range s.bases {
		f.based = true
	}
	return false, nil
}
