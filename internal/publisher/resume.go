package publisher

import (
	"cmp"
	"context"
	"crypto/sha256"
	"iter"
	"slices"
	"strings"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/remote"
	"github.com/mpmetrics/mpmetrics/internal/serverview"
)

// A process finds out from the answer to an update that its partition is not what it was:
//
//   - absorbed, because it was stopped or cut off: it begins another one. Its base is
//     what the server says it was absorbed with, so that it does not matter which of
//     its last updates were carried out.
//   - lost with the archive (the epoch is another one): it begins its first partition
//     again, without any base, in the place of the one it has: no archive has anything of it.
//   - lost in part, since the server went back to what it had some time ago, or put aside,
//     since it could not be read: it begins again the last of its partitions that nobody
//     has absorbed. The base is what the one before it was absorbed with, which
//     need not be what it was before the server went back.
//
// The partitions of a process follow one another by their ids: one that is begun by a late
// update, after the server went back, is the one that the process will go on with, and
// not one that nobody takes care of.

// next is the id of the partition behind one.
func next(id layout.ID) layout.ID {
	sum := sha256.Sum256(id[:])
	return layout.ID(sum[:len(id)])
}

// resume begins another partition, after this one was absorbed.
func (p *Publisher) resume(ctx context.Context, epoch string) error {
	contents, err := p.server.Read(ctx, []remote.Read{{ID: p.header.ID, Whole: true}})
	if err != nil {
		return err
	}
	c := &contents[0]
	if c.Absorption == "" {
		return p.restart(ctx, epoch) // the server has gone back since it said so
	}
	if c.Header == "" || c.Lacks {
		p.complete(c)
	}
	p.begin(epoch, c)
	return nil
}

// complete adds what the server is sure to have had of the partition and has not any more: what
// was absorbed it may drop to get memory.
func (p *Publisher) complete(c *remote.Content) {
	has := p.answered()
	c.Families = remote.Union(has.Families, c.Families)
	if len(c.Values) == 0 {
		c.Values = has.Values
	}
	series, values := remote.Union(c.Series, nil), remote.Union(c.Values, nil)
	for name, block := range has.Series {
		if !sameVersion(c.Series[name], c.Values[name]) {
			series[name], values[name] = block, has.Values[name]
		}
	}
	c.Series, c.Values = series, values
}

func sameVersion(series, values string) bool {
	a, err := layout.VersionOf([]byte(series))
	b, otherErr := layout.VersionOf([]byte(values))
	return err == nil && otherErr == nil && a == b
}

// answered is what the server is sure to have had of the partition.
func (p *Publisher) answered() remote.Content {
	c := remote.Content{Families: map[string]string{}, Series: map[string]string{}, Values: map[string]string{}}
	for n, f := range p.families {
		c.Families[remote.Number(n)] = string(layout.AppendFamily(nil, uint32(n), f))
	}
	for n, b := range p.blocks {
		if b.known.series != "" {
			c.Series[remote.Number(n)], c.Values[remote.Number(n)] = b.known.series, b.known.values
		}
	}
	for name, f := range p.fields {
		if f.known != "" {
			c.Values[name] = f.known
		}
	}
	return c
}

// begin ends a life with what it was absorbed with, and begins the next.
func (p *Publisher) begin(epoch string, c *remote.Content) {
	ended := life{id: p.header.ID, until: cmp.Or(p.heard, p.now()), bases: map[*Series][]uint64{}, named: map[string]string{}}
	for s := range p.all() {
		if s.base != nil {
			ended.bases[s] = s.base
		}
	}
	for name, f := range p.fields {
		if f.base != "" {
			ended.named[name] = f.base
		}
	}
	p.former = append(slices.DeleteFunc(p.former, func(l life) bool { return p.now().Sub(l.until) > remote.Retention }), ended)
	p.rebase(ended, c)
	p.header.ID, p.samples, p.instead = next(ended.id), ended.id, layout.ID{}
	p.again(epoch)
}

// all are the series that the partition has.
func (p *Publisher) all() iter.Seq[*Series] {
	return func(yield func(*Series) bool) {
		for _, b := range p.blocks {
			for _, s := range b.slots {
				if s != nil && !yield(s) {
					return
				}
			}
		}
	}
}

// rebase takes what a life was absorbed with for the base. What it had not is what that
// life itself had taken off.
func (p *Publisher) rebase(l life, c *remote.Content) {
	held := serverview.Absolute(c) // nil: our own, and yet damaged: then none of it was absorbed
	for s := range p.all() {
		s.base = l.bases[s]
		if words, there := held[serverview.KeyOfSeries(s.family, s.values, s.created())]; there {
			s.base = words
		}
	}
	for name, f := range p.fields {
		if !strings.HasPrefix(name, remote.MirrorField) {
			continue
		}
		f.base = l.named[name]
		if value, there := c.Values[name]; there {
			f.base = value
		}
	}
	p.rest(l, c)
}

// rest notes which absorption has the bases, if the archive knows.
func (p *Publisher) rest(l life, c *remote.Content) {
	p.base, p.absorbed = (layout.ID{}), c.Absorption
	if c.Absorption != "" {
		p.base = l.id
	}
}

// restart begins the partition again, or an earlier one that is not absorbed any more.
func (p *Publisher) restart(ctx context.Context, epoch string) error {
	switch {
	case epoch != p.epoch:
		for len(p.former) > 0 {
			p.goBack()
		}
	case p.begun && p.now().Sub(p.heard) > remote.Retention:
		c := p.answered()
		p.begin(epoch, &c)
		return nil
	default:
		for len(p.former) > 0 {
			last := p.former[len(p.former)-1]
			contents, err := p.server.Read(ctx, []remote.Read{{ID: p.header.ID}, {ID: last.id, Whole: true}})
			if err != nil {
				return err
			}
			ours, before := &contents[0], &contents[1]
			kept := ours.Header != "" && !ours.Taken && !ours.Stale
			expired := before.Header == "" && p.now().Sub(last.until) > remote.Retention
			if !kept && before.Absorption == "" && !expired {
				p.goBack()
				continue
			}
			if before.Absorption != "" && before.Header != "" && !before.Lacks {
				p.rebase(last, before)
			}
			p.rest(last, before)
			break
		}
	}
	p.again(epoch)
	return nil
}

// goBack takes up the life before this one.
func (p *Publisher) goBack() {
	last := p.former[len(p.former)-1]
	p.former = p.former[:len(p.former)-1]
	if p.instead == (layout.ID{}) {
		p.instead = p.header.ID
	}
	p.header.ID = last.id
	p.rebase(last, &remote.Content{})
	p.samples = layout.ID{}
}

// again makes everything unsure.
func (p *Publisher) again(epoch string) {
	p.epoch, p.acked, p.begun, p.placed, p.sure = epoch, 0, false, false, 0
	for _, b := range p.blocks {
		b.stale, b.unsure = true, true
		b.known.series, b.known.values = "", ""
	}
	for _, f := range p.fields {
		f.unsure, f.based, f.known = true, false, ""
	}
}
