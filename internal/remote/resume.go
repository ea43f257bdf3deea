package remote

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// A process finds out from the answer to an update that its partition is not what it was:
//
//   - absorbed, because it was stopped or cut off: it begins another one. Its base is
//     what the server says it was absorbed with, so that it does not matter which of
//     its last updates were carried out.
//   - lost with everything else (the epoch is another one): it begins the partition
//     again, without any base: no archive has anything of it.
//   - lost in part, since the server went back to what it had some time ago: the same,
//     but with the base of the last life that the server still knows as absorbed. One
//     that it knows as not absorbed is the partition that goes on.

// resume begins another partition, after this one was absorbed.
func (p *Publisher) resume(ctx context.Context, epoch string) error {
	contents, err := p.server.Read(ctx, []Read{{ID: p.header.ID, Whole: true}})
	if err != nil {
		return err
	}
	c := contents[0]
	if c.Header == "" {
		c = p.answers()
	}
	p.begin(epoch, &c)
	return nil
}

// answers is what the server was sure to have of the partition, when it cannot be
// asked any more.
func (p *Publisher) answers() Content {
	c := Content{Families: map[string]string{}, Series: map[string]string{}, Values: map[string]string{}}
	for n, f := range p.families[:p.sure] {
		c.Families[number(n)] = string(layout.AppendFamily(nil, uint32(n), f))
	}
	for n, b := range p.blocks {
		if b.sent {
			c.Series[number(n)], c.Values[number(n)] = b.series, b.values
		}
	}
	for name, f := range p.fields {
		if f.value != "" && !f.unsure {
			c.Values[name] = f.value
		}
	}
	return c
}

// begin ends a life with what it was absorbed with, and begins the next.
func (p *Publisher) begin(epoch string, c *Content) {
	ended := life{id: p.header.ID, until: p.now(), bases: map[*Series][]uint64{}, named: map[string]string{}}
	held := absolute(c)
	for _, b := range p.blocks {
		for _, s := range b.slots {
			if s == nil {
				continue
			}
			if s.base != nil {
				ended.bases[s] = s.base
			}
			if words, there := held[keyOfSeries(s.family, s.values, s.created())]; there {
				s.base = words
			}
		}
	}
	for name, f := range p.fields {
		if !strings.HasPrefix(name, MirrorField) {
			continue
		}
		if f.base != "" {
			ended.named[name] = f.base
		}
		if value, there := c.Values[name]; there {
			f.base = value
		}
	}
	p.former = append(slices.DeleteFunc(p.former, func(l life) bool { return p.now().Sub(l.until) > Retention }), ended)
	p.samples = p.header.ID
	p.header.ID = layout.NewID()
	p.again(epoch)
}

// restart begins the partition again, or an earlier one that is not absorbed any more.
func (p *Publisher) restart(ctx context.Context, epoch string) error {
	switch {
	case epoch != p.epoch:
		for len(p.former) > 0 {
			p.goBack()
		}
	case p.begun && p.now().Sub(p.answered) > Retention:
		c := p.answers()
		p.begin(epoch, &c)
		return nil
	default:
		for len(p.former) > 0 {
			last := p.former[len(p.former)-1]
			contents, err := p.server.Read(ctx, []Read{{ID: last.id}})
			if err != nil {
				return err
			}
			if contents[0].Absorbed || contents[0].Header == "" && p.now().Sub(last.until) > Retention {
				break
			}
			p.goBack()
			if contents[0].Header != "" {
				break
			}
		}
	}
	p.again(epoch)
	return nil
}

// goBack takes up the life before this one.
func (p *Publisher) goBack() {
	last := p.former[len(p.former)-1]
	p.former = p.former[:len(p.former)-1]
	p.header.ID = last.id
	for _, b := range p.blocks {
		for _, s := range b.slots {
			if s != nil {
				s.base = last.bases[s]
			}
		}
	}
	for name, f := range p.fields {
		f.base = last.named[name]
	}
	p.samples = layout.ID{}
}

// again makes everything unsure.
func (p *Publisher) again(epoch string) {
	p.epoch, p.acked, p.begun, p.sure = epoch, 0, false, 0
	for _, b := range p.blocks {
		b.stale, b.unsure = true, true
	}
	for _, f := range p.fields {
		f.unsure, f.based = true, false
	}
}

// absolute are the values of all series in a partition, by keyOfSeries.
func absolute(c *Content) map[string][]uint64 {
	v := newView(&partition{families: c.Families, series: c.Series, values: c.Values})
	if v.take() != nil {
		return nil // our own, and yet damaged: then none of it was absorbed
	}
	held := map[string][]uint64{}
	for name, b := range v.blocks {
		words := make([]uint64, b.words)
		if layout.DecodeValues([]byte(c.Values[name]), b.families, words) != nil {
			continue
		}
		for i := range b.slots {
			if f := b.families[i]; f != nil {
				n := f.ValueWords()
				held[keyOfSeries(f, b.slots[i].Values, b.slots[i].Created)] = words[:n:n]
				words = words[n:]
			}
		}
	}
	return held
}

func keyOfSeries(f *layout.Family, values []string, created int64) string {
	return string(layout.AppendFamily(nil, uint32(0), f)) + "\xff" + strings.Join(values, "\xff") + "\xff" + time.Unix(0, created).UTC().Format(time.RFC3339Nano)
}
