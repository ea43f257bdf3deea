package memoryserver

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/remote"
)

// Server is one namespace. Its clock moves only by Advance.
type Server struct {
	mu    sync.Mutex
	state *State
	late  []func() // updates still on their way
}

// State is the whole state of a server. A test may change the state, and put back an older state.
type State struct {
	Now        time.Time
	Epoch      string // empty: no archive
	Generation string
	Archive    map[string]string
	Ends       map[layout.ID]time.Time // of lives: the list
	Sequences  map[layout.ID]uint64
	Partitions map[layout.ID]*Partition
}

// Partition is the state of one partition.
type Partition struct {
	Header   string
	Start    int64
	Seq      uint64
	Taken    bool
	Families map[string]string
	Series   map[string]string
	Values   map[string]string
	Rests    string  // epoch of the archive with the bases
	Had      [3]bool // hashes in use after the last update
	expires  time.Time
}

// New makes an empty server.
func New() *Server { return &Server{state: empty(time.Unix(1_700_000_000, 0))} }

func empty(now time.Time) *State {
	return &State{
		Now: now, Archive: map[string]string{}, Ends: map[layout.ID]time.Time{},
		Sequences: map[layout.ID]uint64{}, Partitions: map[layout.ID]*Partition{},
	}
}

func (s *State) clone() *State {
	c := *s
	c.Archive, c.Ends, c.Sequences = maps.Clone(s.Archive), maps.Clone(s.Ends), maps.Clone(s.Sequences)
	c.Partitions = make(map[layout.ID]*Partition, len(s.Partitions))
	for id, p := range s.Partitions {
		q := *p
		q.Families, q.Series, q.Values = maps.Clone(p.Families), maps.Clone(p.Series), maps.Clone(p.Values)
		c.Partitions[id] = &q
	}
	return &c
}

// Do lets a test look at the state, and change the state.
func (s *Server) Do(do func(*State)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do(s.state)
}

// Advance moves the clock.
func (s *Server) Advance(d time.Duration) {
	s.Do(func(state *State) {
		state.Now = state.Now.Add(d)
		for id, p := range state.Partitions {
			if p.Taken && state.Now.After(p.expires) {
				delete(state.Partitions, id)
			}
		}
	})
}

// Snapshot returns a copy of the state.
func (s *Server) Snapshot() *State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.clone()
}

// GoBack replaces the state by a snapshot, like a failover to a replica that lagged. Time goes on.
func (s *Server) GoBack(to *State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.state.Now
	s.state = to.clone()
	s.state.Now = now
}

// Lose forgets everything.
func (s *Server) Lose() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = empty(s.state.Now)
}

// Deliver carries out the late updates. pick chooses the next update among n.
func (s *Server) Deliver(pick func(n int) int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.late) > 0 {
		i := pick(len(s.late))
		s.late[i]()
		s.late = append(s.late[:i], s.late[i+1:]...)
	}
}

// Fate is the fate of one call.
type Fate uint8

// The fates.
const (
	Answered  Fate = iota
	Dropped        // lost before the server
	Unheard        // carried out, but the answer is lost
	Repeated       // carried out, and once more later
	Postponed      // carried out later, after the caller has given up
)

// Fates are all fates.
const Fates = 5

var errFate = errors.New("connection was cut")

// Client is the connection of one process. Each call asks Fate; nil: all calls are answered.
type Client struct {
	*Server
	Fate func() Fate
}

// call carries out do, by its fate.
func (c *Client) call(do func(s *State)) error {
	fate := Answered
	if c.Fate != nil {
		fate = c.Fate()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch fate {
	case Dropped:
	case Postponed:
		c.late = append(c.late, func() { do(c.state) })
	case Repeated:
		c.late = append(c.late, func() { do(c.state) })
		fallthrough
	case Answered, Unheard:
		do(c.state)
	}
	if fate == Answered || fate == Repeated {
		return nil
	}
	return errors.Join(remote.ErrUnreachable, errFate)
}

// Update implements remote.Server.
func (c *Client) Update(_ context.Context, updates []remote.Update) ([]remote.Reply, error) {
	replies := make([]remote.Reply, len(updates))
	var failed error
	for i, u := range updates {
		mine := layout.NewID().String()
		if err := c.call(func(s *State) { replies[i] = s.update(&u, mine) }); err != nil {
			failed = err
		}
	}
	if failed != nil {
		return nil, failed
	}
	return append([]remote.Reply(nil), replies...), nil // a copy: late updates write into replies
}

func (s *State) update(u *remote.Update, mine string) remote.Reply {
	if s.Epoch == "" {
		s.Epoch, s.Generation = mine, mine
	}
	p := s.Partitions[u.ID]
	reply := func(status remote.Status) remote.Reply {
		r := remote.Reply{Status: status, Epoch: s.Epoch}
		if q := s.Partitions[u.ID]; q != nil {
			r.Seq = q.Seq
		}
		return r
	}
	there := p != nil && p.Header != "" && !p.Taken
	switch {
	case u.Epoch != "" && u.Epoch != s.Epoch:
		return reply(remote.Lost)
	case s.holds(u.ID):
		return reply(remote.Absorbed)
	case u.Begin == nil && (!there || p.Seq < u.After || p.lacks(u.Hashes)):
		return reply(remote.Lost)
	case u.Begin != nil && u.Base != layout.ID{} && s.Archive[remote.AbsorbedField(u.Base)] != u.Absorption:
		return reply(remote.Lost)
	case there && p.Seq >= u.Seq:
		return reply(remote.Late)
	}
	if !there {
		p = &Partition{Start: s.Now.UnixNano(), Families: map[string]string{}, Series: map[string]string{}, Values: map[string]string{}}
		s.Partitions[u.ID] = p
	}
	if u.Begin != nil {
		p.Header = string(u.Begin.Encode())
		p.Rests = ""
		if u.Based {
			p.Rests = s.Epoch
		}
	}
	p.Seq, s.Sequences[u.ID], s.Ends[u.ID] = u.Seq, u.Seq, s.Now.Add(u.Live)
	if u.Instead != (layout.ID{}) {
		delete(s.Partitions, u.Instead)
		delete(s.Ends, u.Instead)
		delete(s.Sequences, u.Instead)
	}
	if field := remote.SamplesField(u.Former); u.Former != (layout.ID{}) && s.Archive[field] != "" {
		delete(s.Archive, field)
		s.Generation = mine
	}
	maps.Copy(p.Families, u.Families)
	maps.Copy(p.Series, u.Series)
	maps.Copy(p.Values, u.Values)
	for _, field := range u.Remove {
		delete(p.Values, field)
	}
	p.Had = [3]bool{len(p.Families) > 0, len(p.Series) > 0, len(p.Values) > 0}
	return reply(remote.Written)
}

func (s *State) holds(id layout.ID) bool {
	_, there := s.Archive[remote.AbsorbedField(id)]
	return there
}

func (p *Partition) lacks(hashes [3]bool) bool {
	return hashes[0] && len(p.Families) == 0 || hashes[1] && len(p.Series) == 0 || hashes[2] && len(p.Values) == 0
}

// Look implements remote.Server.
func (c *Client) Look(_ context.Context, values []layout.ID) (*remote.State, error) {
	var found *remote.State
	err := c.call(func(s *State) {
		found = &remote.State{Epoch: s.Epoch, Generation: s.Generation, Stable: true, Now: s.Now, Values: map[layout.ID]map[string]string{}}
		for id, end := range s.Ends {
			found.Partitions = append(found.Partitions, remote.Partition{ID: id, Live: end.After(s.Now), Seq: s.Sequences[id]})
		}
		for _, id := range values {
			if p := s.Partitions[id]; p != nil {
				found.Values[id] = maps.Clone(p.Values)
			} else {
				found.Values[id] = map[string]string{}
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// Read implements remote.Server.
func (c *Client) Read(_ context.Context, reads []remote.Read) ([]remote.Content, error) {
	contents := make([]remote.Content, len(reads))
	var failed error
	for i, r := range reads {
		if err := c.call(func(s *State) { contents[i] = s.read(&r) }); err != nil {
			failed = err
		}
	}
	if failed != nil {
		return nil, failed
	}
	return append([]remote.Content(nil), contents...), nil
}

func (s *State) read(r *remote.Read) remote.Content {
	c := remote.Content{Absorption: s.Archive[remote.AbsorbedField(r.ID)]}
	p := s.Partitions[r.ID]
	if p == nil {
		return c
	}
	c.Header, c.Start, c.Seq, c.Taken, c.Lacks = p.Header, p.Start, p.Seq, p.Taken, p.lacks(p.Had)
	c.Stale = p.Rests != "" && p.Rests != s.Epoch
	if !r.Whole && r.Blocks == nil {
		return c
	}
	c.Families, c.Values, c.Series = maps.Clone(p.Families), maps.Clone(p.Values), map[string]string{}
	for field, block := range p.Series {
		if r.Whole || slices.Contains(r.Blocks, field) {
			c.Series[field] = block
		}
	}
	return c
}

// Archive implements remote.Server.
func (c *Client) Archive(context.Context) (*remote.Archive, error) {
	var found *remote.Archive
	if err := c.call(func(s *State) { found = &remote.Archive{Generation: s.Generation, Fields: maps.Clone(s.Archive)} }); err != nil {
		return nil, err
	}
	return found, nil
}

// Replace implements remote.Server.
func (c *Client) Replace(_ context.Context, r remote.Replacement) error {
	var refused error
	if err := c.call(func(s *State) { refused = s.replace(&r) }); err != nil {
		return err
	}
	return refused
}

func (s *State) replace(r *remote.Replacement) error {
	if s.Epoch != r.Epoch || s.Generation != r.Generation {
		return remote.ErrChanged
	}
	for _, a := range r.Absorbed {
		p, end := s.Partitions[a.ID], s.Ends[a.ID]
		if p == nil || end.IsZero() || end.After(s.Now) || p.Seq != a.Seq || p.lacks(p.Had) {
			return remote.ErrChanged
		}
	}
	maps.Copy(s.Archive, r.Set)
	for _, field := range r.Remove {
		delete(s.Archive, field)
	}
	s.Generation = r.Next
	if r.Anew != "" {
		s.Epoch = r.Anew
	}
	for _, a := range r.Absorbed {
		s.takeOut(a.ID, r.Keep)
	}
	return nil
}

func (s *State) takeOut(id layout.ID, keep time.Duration) {
	delete(s.Ends, id)
	delete(s.Sequences, id)
	p := s.Partitions[id]
	if p == nil {
		p = &Partition{}
		s.Partitions[id] = p
	}
	p.Taken, p.expires = true, s.Now.Add(keep)
}

// Discard implements remote.Server.
func (c *Client) Discard(_ context.Context, p remote.Partition, _ string) error {
	return c.call(func(s *State) {
		seq := uint64(0)
		if there := s.Partitions[p.ID]; there != nil {
			seq = there.Seq
		}
		if end, listed := s.Ends[p.ID]; listed && !end.After(s.Now) && seq == p.Seq {
			s.takeOut(p.ID, 15*24*time.Hour)
		}
	})
}

// Close implements remote.Server.
func (c *Client) Close() {}
