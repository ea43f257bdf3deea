package memoryserver_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/location"
	"github.com/mpmetrics/mpmetrics/internal/remote"
	"github.com/mpmetrics/mpmetrics/internal/testing/memoryserver"
)

// Each test holds the model to a law of remote.Server. All simulations of publishers, readers and
// compactors trust the model.

const alive = 10 * time.Second

// fixture is a server with a client whose calls are answered, or have the fate that a test sets.
type fixture struct {
	*testing.T
	server *memoryserver.Server
	client *memoryserver.Client
	fate   memoryserver.Fate
}

func newFixture(t *testing.T) *fixture {
	f := &fixture{T: t, server: memoryserver.New()}
	f.client = &memoryserver.Client{Server: f.server, Fate: func() memoryserver.Fate { return f.fate }}
	return f
}

// begin makes an update that begins a partition.
func begin(id layout.ID, seq uint64) remote.Update {
	return remote.Update{
		ID: id, Seq: seq, Begin: &layout.Header{PID: 7, ID: id}, Live: alive,
		Families: map[string]string{"0": "family"},
		Series:   map[string]string{"0": "block", "1": "more"},
		Values:   map[string]string{"0": "values", "mx": "mirrored"},
	}
}

// update carries out one update and returns the reply.
func (f *fixture) update(u remote.Update) remote.Reply {
	f.Helper()
	replies, err := f.client.Update(f.Context(), []remote.Update{u})
	if err != nil || len(replies) != 1 {
		f.Fatalf("update: %d replies, error %v", len(replies), err)
	}
	return replies[0]
}

// is checks the status and the Seq of a reply.
func (f *fixture) is(what string, r remote.Reply, status remote.Status, seq uint64) {
	f.Helper()
	if r.Status != status || r.Seq != seq {
		f.Errorf("%s: status %d and Seq %d, want %d and %d", what, r.Status, r.Seq, status, seq)
	}
}

// read returns the whole content of a partition.
func (f *fixture) read(id layout.ID) remote.Content {
	f.Helper()
	contents, err := f.client.Read(f.Context(), []remote.Read{{ID: id, Whole: true}})
	if err != nil || len(contents) != 1 {
		f.Fatalf("read: %d contents, error %v", len(contents), err)
	}
	return contents[0]
}

// look returns the state, with the values of some partitions.
func (f *fixture) look(values ...layout.ID) *remote.State {
	f.Helper()
	s, err := f.client.Look(f.Context(), values)
	if err != nil {
		f.Fatal(err)
	}
	return s
}

// listed returns the partition in the list of the server, nil if the list lacks the partition.
func (f *fixture) listed(id layout.ID) *remote.Partition {
	f.Helper()
	for _, p := range f.look().Partitions {
		if p.ID == id {
			return &p
		}
	}
	return nil
}

// absorb replaces the archive so that the archive holds a dead partition.
func (f *fixture) absorb(p remote.Partition, keep time.Duration) error {
	f.Helper()
	s := f.look()
	return f.client.Replace(f.Context(), remote.Replacement{
		Epoch: s.Epoch, Generation: s.Generation, Next: "next", Keep: keep,
		Set:      map[string]string{remote.AbsorbedField(p.ID): "absorption", remote.SamplesField(p.ID): "samples"},
		Absorbed: []remote.Partition{p},
	})
}

func (f *fixture) equal(what string, got, want any) {
	f.Helper()
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(memoryserver.Partition{})); diff != "" {
		f.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestUpdateBeginsAndContinues(t *testing.T) {
	f, id := newFixture(t), layout.NewID()
	u := begin(id, 1)
	first := f.update(u)
	f.is("the first update", first, remote.Written, 1)
	if first.Epoch == "" {
		t.Error("the first update made no epoch")
	}
	c := f.read(id)
	if c.Header != string(u.Begin.Encode()) || c.Start != f.server.Snapshot().Now.UnixNano() || c.Seq != 1 || c.Taken || c.Stale || c.Lacks {
		t.Errorf("content after the first update: %+v", c)
	}
	f.equal("families", c.Families, u.Families)
	f.equal("series", c.Series, u.Series)
	f.equal("values", c.Values, u.Values)

	r := f.update(remote.Update{
		ID: id, Seq: 2, After: 1, Epoch: first.Epoch, Hashes: [3]bool{true, true, true}, Live: alive,
		Values: map[string]string{"0": "new values"}, Remove: []string{"mx"},
	})
	f.is("the second update", r, remote.Written, 2)
	c = f.read(id)
	f.equal("values after the second update", c.Values, map[string]string{"0": "new values"})
	f.equal("series after the second update", c.Series, u.Series)
}

func TestReadOfBlocks(t *testing.T) {
	f, id := newFixture(t), layout.NewID()
	f.update(begin(id, 1))
	contents, err := f.client.Read(t.Context(), []remote.Read{
		{ID: id}, {ID: id, Blocks: []string{"1"}}, {ID: id, Blocks: []string{}}, {ID: layout.NewID(), Whole: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	if c := contents[0]; c.Header == "" || c.Families != nil || c.Series != nil || c.Values != nil {
		t.Errorf("header alone: %+v", c)
	}
	f.equal("one block", contents[1].Series, map[string]string{"1": "more"})
	f.equal("values beside one block", len(contents[1].Values), 2)
	f.equal("no block", contents[2].Series, map[string]string{})
	f.equal("families beside no block", len(contents[2].Families), 1)
	if c := contents[3]; c.Header != "" || c.Values != nil {
		t.Errorf("a partition that is not there: %+v", c)
	}
}

// An update is written once: a late or repeated update changes nothing.
func TestUpdateLateAndRepeated(t *testing.T) {
	f, id := newFixture(t), layout.NewID()
	f.update(begin(id, 1))
	third := remote.Update{ID: id, Seq: 3, After: 1, Live: alive, Values: map[string]string{"0": "third"}}
	f.is("third", f.update(third), remote.Written, 3)
	before := f.server.Snapshot()
	f.is("the same again", f.update(third), remote.Late, 3)
	f.is("an older one", f.update(remote.Update{ID: id, Seq: 2, After: 1, Live: time.Hour, Values: map[string]string{"0": "second"}}), remote.Late, 3)
	f.is("an old begin", f.update(begin(id, 2)), remote.Late, 3)
	f.equal("state after late updates", f.server.Snapshot(), before)
}

func TestFatesOfCalls(t *testing.T) {
	for _, c := range []struct {
		name  string
		fate  memoryserver.Fate
		fails bool
		now   string // values at once
		later string // values after the delivery of late updates
	}{
		{name: "answered", fate: memoryserver.Answered, fails: false, now: "second", later: "second"},
		{name: "dropped", fate: memoryserver.Dropped, fails: true, now: "values", later: "values"},
		{name: "unheard", fate: memoryserver.Unheard, fails: true, now: "second", later: "second"},
		{name: "repeated", fate: memoryserver.Repeated, fails: false, now: "second", later: "second"},
		{name: "postponed", fate: memoryserver.Postponed, fails: true, now: "values", later: "second"},
	} {
		for _, overtaken := range []bool{false, true} {
			f, id := newFixture(t), layout.NewID()
			f.update(begin(id, 1))
			f.fate = c.fate
			_, err := f.client.Update(t.Context(), []remote.Update{{ID: id, Seq: 2, After: 1, Live: alive, Values: map[string]string{"0": "second"}}})
			if (err != nil) != c.fails || err != nil && !errors.Is(err, remote.ErrUnreachable) {
				t.Errorf("%s: error %v", c.name, err)
			}
			f.fate = memoryserver.Answered
			f.equal(c.name+": at once", f.read(id).Values["0"], c.now)
			want := c.later
			if overtaken {
				f.is(c.name+": third", f.update(remote.Update{ID: id, Seq: 3, After: 1, Live: alive, Values: map[string]string{"0": "third"}}), remote.Written, 3)
				want = "third" // the late update finds a higher Seq
			}
			f.server.Deliver(func(n int) int { return n - 1 })
			f.equal(c.name+": after the delivery", f.read(id).Values["0"], want)
		}
	}
}

// A server that knows less than the process says so, and writes nothing.
func TestUpdateLost(t *testing.T) {
	id, base := layout.NewID(), layout.NewID()
	next := remote.Update{ID: id, Seq: 3, After: 2, Hashes: [3]bool{true, true, true}, Live: alive}
	based := begin(id, 4)
	based.Base, based.Based, based.Absorption = base, true, "absorption"
	for _, c := range []struct {
		name   string
		damage func(f *fixture)
		update remote.Update
		seq    uint64
	}{
		{name: "nothing is there", damage: func(f *fixture) { f.server.Lose() }, update: next, seq: 0},
		{name: "the last answered update", damage: func(f *fixture) {
			f.server.Do(func(s *memoryserver.State) { s.Partitions[id].Seq = 1 })
		}, update: next, seq: 1},
		{name: "the families", damage: func(f *fixture) {
			f.server.Do(func(s *memoryserver.State) { clear(s.Partitions[id].Families) })
		}, update: next, seq: 2},
		{name: "the series", damage: func(f *fixture) {
			f.server.Do(func(s *memoryserver.State) { clear(s.Partitions[id].Series) })
		}, update: next, seq: 2},
		{name: "the values", damage: func(f *fixture) {
			f.server.Do(func(s *memoryserver.State) { clear(s.Partitions[id].Values) })
		}, update: next, seq: 2},
		{name: "the archive of the epoch", damage: func(*fixture) {}, update: remote.Update{ID: id, Seq: 3, After: 2, Epoch: "former", Live: alive}, seq: 2},
		{name: "the absorption of the base", damage: func(*fixture) {}, update: based, seq: 2},
	} {
		f := newFixture(t)
		f.update(begin(id, 1))
		f.update(remote.Update{ID: id, Seq: 2, After: 1, Live: alive})
		c.damage(f)
		before := f.server.Snapshot()
		f.is(c.name, f.update(c.update), remote.Lost, c.seq)
		after := f.server.Snapshot()
		after.Epoch, after.Generation = before.Epoch, before.Generation // an empty server gets new ones
		f.equal(c.name+": state", after, before)
	}
}

// A server gone back to a snapshot answers Lost to a process that is further.
func TestServerGoesBack(t *testing.T) {
	f, id := newFixture(t), layout.NewID()
	f.update(begin(id, 1))
	before := f.server.Snapshot()
	f.is("second", f.update(remote.Update{ID: id, Seq: 2, After: 1, Live: alive}), remote.Written, 2)
	f.server.Advance(time.Second)
	f.server.GoBack(before)
	f.is("third, after the server went back", f.update(remote.Update{ID: id, Seq: 3, After: 2, Live: alive}), remote.Lost, 1)
	if got, want := f.server.Snapshot().Now, before.Now.Add(time.Second); !got.Equal(want) {
		t.Errorf("the clock went to %v, want %v", got, want)
	}
}

// An absorbed partition takes no update, and stays for its process for as long as Keep says. The
// archive remembers the partition for longer.
func TestUpdateAbsorbedAndRetention(t *testing.T) {
	f, id := newFixture(t), layout.NewID()
	f.update(begin(id, 1))
	f.server.Advance(alive)
	if err := f.absorb(remote.Partition{ID: id, Seq: 1}, time.Hour); err != nil {
		t.Fatal(err)
	}
	if p := f.listed(id); p != nil {
		t.Errorf("an absorbed partition is listed: %+v", p)
	}
	next := remote.Update{ID: id, Seq: 2, After: 1, Live: alive, Values: map[string]string{"0": "too late"}}
	f.is("an update after the absorption", f.update(next), remote.Absorbed, 1)
	f.is("a begin after the absorption", f.update(begin(id, 3)), remote.Absorbed, 1)
	f.server.Advance(time.Hour)
	c := f.read(id)
	if !c.Taken || c.Absorption != "absorption" || c.Seq != 1 || c.Values["0"] != "values" {
		t.Errorf("at the end of the retention: %+v", c)
	}
	f.server.Advance(time.Nanosecond)
	c = f.read(id)
	if c.Taken || c.Header != "" || c.Values != nil || c.Absorption != "absorption" {
		t.Errorf("after the retention: %+v", c)
	}
	f.is("an update after the retention", f.update(next), remote.Absorbed, 0)
}

// A process that comes back begins another partition, on the base of the absorbed one.
func TestBeginAfterAbsorption(t *testing.T) {
	f, id, again := newFixture(t), layout.NewID(), layout.NewID()
	f.update(begin(id, 1))
	f.server.Advance(alive)
	if err := f.absorb(remote.Partition{ID: id, Seq: 1}, time.Hour); err != nil {
		t.Fatal(err)
	}
	before := f.look()
	u := begin(again, 2)
	u.Base, u.Based, u.Absorption, u.Former = id, true, "absorption", id
	f.is("begin on a base", f.update(u), remote.Written, 2)
	archive, err := f.client.Archive(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f.equal("archive without the samples of the former partition", archive.Fields, map[string]string{remote.AbsorbedField(id): "absorption"})
	if archive.Generation == before.Generation {
		t.Error("the archive changed and its generation did not")
	}
	if c := f.read(again); c.Stale {
		t.Error("the bases are stale while their archive is there")
	}
	f.server.Do(func(s *memoryserver.State) { s.Epoch = "another" })
	if c := f.read(again); !c.Stale {
		t.Error("the bases are not stale after the loss of their archive")
	}

	f.server.Do(func(s *memoryserver.State) { s.Epoch = before.Epoch })
	back := begin(id, 3)
	back.Instead = again
	f.server.Do(func(s *memoryserver.State) { delete(s.Archive, remote.AbsorbedField(id)) }) // the server went back
	f.is("begin instead of the other", f.update(back), remote.Written, 3)
	if p, c := f.listed(again), f.read(again); p != nil || c.Header != "" {
		t.Errorf("the partition that was begun in between is there: %+v, %+v", p, c)
	}
}

func TestLook(t *testing.T) {
	f, living, ended, missing := newFixture(t), layout.NewID(), layout.NewID(), layout.NewID()
	if s := f.look(); s.Epoch != "" || len(s.Partitions) != 0 {
		t.Errorf("an empty server: %+v", s)
	}
	f.update(begin(living, 1))
	u := begin(ended, 5)
	u.Live = 0
	f.update(u)
	s := f.look(living, missing)
	if !s.Stable || s.Epoch == "" || s.Generation == "" || !s.Now.Equal(f.server.Snapshot().Now) {
		t.Errorf("state: %+v", s)
	}
	f.equal("values", s.Values, map[layout.ID]map[string]string{living: {"0": "values", "mx": "mirrored"}, missing: {}})
	f.equal("living", f.listed(living), &remote.Partition{ID: living, Live: true, Seq: 1})
	f.equal("ended", f.listed(ended), &remote.Partition{ID: ended, Live: false, Seq: 5})
	f.server.Advance(alive - time.Nanosecond)
	f.equal("just before its end", f.listed(living), &remote.Partition{ID: living, Live: true, Seq: 1})
	f.server.Advance(time.Nanosecond)
	f.equal("at its end", f.listed(living), &remote.Partition{ID: living, Live: false, Seq: 1})
}

// Replace writes all or nothing: ErrChanged leaves the state as it was.
func TestReplaceChanged(t *testing.T) {
	dead, living := layout.NewID(), layout.NewID()
	for _, c := range []struct {
		name   string
		change func(s *memoryserver.State, r *remote.Replacement)
	}{
		{name: "another epoch", change: func(_ *memoryserver.State, r *remote.Replacement) { r.Epoch = "another" }},
		{name: "another generation", change: func(_ *memoryserver.State, r *remote.Replacement) { r.Generation = "another" }},
		{name: "a living partition", change: func(_ *memoryserver.State, r *remote.Replacement) {
			r.Absorbed = append(r.Absorbed, remote.Partition{ID: living, Seq: 1})
		}},
		{name: "a partition that was updated since", change: func(s *memoryserver.State, _ *remote.Replacement) { s.Partitions[dead].Seq = 2 }},
		{name: "a partition that is not there", change: func(s *memoryserver.State, _ *remote.Replacement) { delete(s.Partitions, dead) }},
		{name: "a partition that is not listed", change: func(s *memoryserver.State, _ *remote.Replacement) { delete(s.Ends, dead) }},
		{name: "a partition that lost its values", change: func(s *memoryserver.State, _ *remote.Replacement) { clear(s.Partitions[dead].Values) }},
	} {
		f := newFixture(t)
		f.update(begin(dead, 1))
		f.server.Advance(alive)
		f.update(begin(living, 1))
		s := f.look()
		r := remote.Replacement{
			Epoch: s.Epoch, Generation: s.Generation, Next: "next", Keep: time.Hour, Set: map[string]string{"a": "b"},
			Absorbed: []remote.Partition{{ID: dead, Seq: 1}},
		}
		f.server.Do(func(s *memoryserver.State) { c.change(s, &r) })
		before := f.server.Snapshot()
		if err := f.client.Replace(t.Context(), r); !errors.Is(err, remote.ErrChanged) {
			t.Errorf("%s: error %v, want ErrChanged", c.name, err)
		}
		f.equal(c.name+": state", f.server.Snapshot(), before)
	}
}

func TestReplace(t *testing.T) {
	f, dead := newFixture(t), layout.NewID()
	f.update(begin(dead, 1))
	f.server.Advance(alive)
	f.server.Do(func(s *memoryserver.State) { s.Archive["old"], s.Archive["kept"] = "1", "2" })
	s := f.look()
	r := remote.Replacement{
		Epoch: s.Epoch, Generation: s.Generation, Next: "next", Keep: time.Hour, Anew: "restart",
		Set: map[string]string{"new": "3"}, Remove: []string{"old"}, Absorbed: []remote.Partition{{ID: dead, Seq: 1}},
	}
	if err := f.client.Replace(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	archive, err := f.client.Archive(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f.equal("archive", archive, &remote.Archive{Generation: "next", Fields: map[string]string{"kept": "2", "new": "3"}})
	if s := f.look(); s.Epoch != "restart" || s.Generation != "next" || len(s.Partitions) != 0 {
		t.Errorf("state: %+v", s)
	}
	if err := f.client.Replace(t.Context(), r); !errors.Is(err, remote.ErrChanged) {
		t.Errorf("the same again: error %v, want ErrChanged", err)
	}
	f.fate = memoryserver.Unheard
	r.Epoch, r.Generation, r.Absorbed, r.Next = "restart", "next", nil, "after"
	if err := f.client.Replace(t.Context(), r); !errors.Is(err, remote.ErrUnreachable) {
		t.Errorf("unheard: error %v, want ErrUnreachable", err)
	}
	if got := f.server.Snapshot().Generation; got != "after" {
		t.Errorf("unheard: generation %q, want that of the replacement", got)
	}
}

// Discard takes out a dead partition as it was read, and no other.
func TestDiscard(t *testing.T) {
	f, id := newFixture(t), layout.NewID()
	f.update(begin(id, 1))
	discard := func(p remote.Partition) {
		t.Helper()
		if err := f.client.Discard(context.WithoutCancel(t.Context()), p, "damaged"); err != nil {
			t.Fatal(err)
		}
	}
	discard(remote.Partition{ID: id, Seq: 1})
	if p := f.listed(id); p == nil || f.read(id).Taken {
		t.Errorf("a living partition was taken out: %+v", p)
	}
	f.server.Advance(alive)
	discard(remote.Partition{ID: id, Seq: 0})
	if p := f.listed(id); p == nil {
		t.Error("a partition that was updated since the reading was taken out")
	}
	discard(remote.Partition{ID: id, Seq: 1})
	if p, c := f.listed(id), f.read(id); p != nil || !c.Taken || c.Values["0"] != "values" || c.Absorption != "" {
		t.Errorf("a dead partition: %+v, %+v", p, c)
	}
	f.server.Advance(15 * 24 * time.Hour)
	if !f.read(id).Taken {
		t.Error("gone before 15 days were over")
	}
	f.server.Advance(time.Nanosecond)
	if c := f.read(id); c.Taken || c.Header != "" {
		t.Errorf("after 15 days: %+v", c)
	}
	f.is("begin after that", f.update(begin(id, 2)), remote.Written, 2)
}

// A discarded partition that its process begins again starts with nothing of before.
func TestBeginAfterDiscard(t *testing.T) {
	f, id := newFixture(t), layout.NewID()
	f.update(begin(id, 1))
	f.server.Advance(alive)
	if err := f.client.Discard(t.Context(), remote.Partition{ID: id, Seq: 1}, "damaged"); err != nil {
		t.Fatal(err)
	}
	f.is("an update", f.update(remote.Update{ID: id, Seq: 2, After: 1, Live: alive}), remote.Lost, 1)
	u := begin(id, 3)
	u.Values = map[string]string{"0": "again"}
	f.is("a begin", f.update(u), remote.Written, 3)
	c := f.read(id)
	if c.Taken {
		t.Error("the partition is still out")
	}
	f.equal("values", c.Values, map[string]string{"0": "again"})
}

func TestAdvanceWithoutRetention(t *testing.T) {
	f, id := newFixture(t), layout.NewID()
	f.update(begin(id, 1))
	f.server.Advance(1000 * time.Hour)
	if p := f.listed(id); p == nil || p.Live {
		t.Errorf("a dead partition that was not absorbed: %+v, want it listed as dead", p)
	}
}

func TestLocation(t *testing.T) {
	client := &memoryserver.Client{Server: memoryserver.New()}
	other := &memoryserver.Client{Server: client.Server}
	if client.Location() == other.Location() {
		t.Error("two clients have one location")
	}
	connect := func(text string) (remote.Server, error) {
		l, err := location.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return remote.Connect(l, slog.New(slog.DiscardHandler))
	}
	s, err := connect(client.Location())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	id := layout.NewID()
	if _, err := s.Update(t.Context(), []remote.Update{begin(id, 1)}); err != nil {
		t.Fatal(err)
	}
	if client.Snapshot().Partitions[id] == nil {
		t.Error("an update by the location did not reach the server")
	}
	if _, err := connect("memoryserver://missing"); err == nil {
		t.Error("no error for a location without a server")
	}
}
