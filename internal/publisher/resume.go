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

// The answer to an update tells a process that its partition has changed:
//
//   - absorbed, because the process was stopped or cut off: the process starts another
//     partition. Its base are the values with which the former partition was absorbed, as
//     the server tells them, so that the outcome of the last updates does not matter.
//   - lost with the archive (the epoch is another epoch): the process starts its first
//     partition again, without any base, because no archive has any of its values.
//   - lost in part, because the server went back to an earlier state, or put aside,
//     because the partition could not be read: the process starts the last of its
//     partitions again that was not absorbed. The base are the values with which the
//     partition before was absorbed, which may differ from the base before the server
//     went back.
//
// The ids of the partitions of a process follow one another: a late update, after the server
// went back, can only start a partition with which the process will go on, and never a
// partition that no process owns.

// next returns the id of the partition after a partition.
func next(id layout.ID) layout.ID {
	sum := sha256.Sum256(id[:])
	return layout.ID(sum[:len(id)])
}

// resume starts another partition, after this partition was absorbed.
func (p *Publisher) resume(ctx context.Context, epoch string) error {
	contents, err := p.server.Read(ctx, []remote.Read{{ID: p.header.ID, Whole: true}})
	if err != nil {
		return err
	}
	c := &contents[0]
	if c.Absorption == "" {
		return p.restart(ctx, epoch) // the server went back after the answer
	}
	if c.Header == "" || c.Lacks {
		p.complete(c)
	}
	p.begin(epoch, c)
	return nil
}

// complete adds content that the server had for sure and dropped since: the server may drop
// an absorbed partition to get memory.
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

// answered returns the content of the partition that the server had for sure.
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

// begin ends a life with its absorbed values, and starts the next life.
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
	p.again(epoch, absorbed)
}

// all returns the series of the partition.
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

// rebase sets the base of each series to its absorbed value in a life; a series that was not
// absorbed keeps the base of that life.
func (p *Publisher) rebase(l life, c *remote.Content) {
	held := serverview.Absolute(c) // nil: damaged, although this process wrote the content; no value was absorbed
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

// rest notes the absorption that the bases come from, if the archive knows the absorption.
func (p *Publisher) rest(l life, c *remote.Content) {
	p.base, p.absorbed = (layout.ID{}), c.Absorption
	if c.Absorption != "" {
		p.base = l.id
	}
}

// restart starts the partition again, or an earlier partition that is no longer absorbed.
func (p *Publisher) restart(ctx context.Context, epoch string) error {
	switch {
	case epoch != p.epoch:
		for len(p.former) > 0 {
			p.goBack()
		}
	case p.state == published && p.now().Sub(p.heard) > remote.Retention:
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
	p.again(epoch, lost)
	return nil
}

// goBack returns to the life before this life.
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

// again makes all content unsure, after an event.
func (p *Publisher) again(epoch string, because event) {
	p.enterState(because)
	p.epoch, p.acked, p.placed, p.sure = epoch, 0, false, 0
	for _, b := range p.blocks {
		b.stale, b.unsure = true, true
		b.known.series, b.known.values = "", ""
	}
	for _, f := range p.fields {
		f.unsure, f.based, f.known = true, false, ""
	}
}
