package archive

import (
	"fmt"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
)

// Decoder makes an archive from its records.
type Decoder struct {
	archive  *Archive
	begun    bool // the state record was read
	families []*layout.Family
	accounts map[uint32]*merge.Account
	last     *merge.Entry   // last total record; nil: none yet, or a base came after
	base     *merge.Base    // last base record
	baseOf   map[uint32]int // family number to index in the families of base
	dead     []*merge.Dead
	familyOf []map[uint32]int // for each of dead: family number to index in its families
}

// Bounds of the memory for an archive; the reader bounds the file.
const (
	maxFamilies = 1_000_000
	maxDead     = 10_000_000
)

// NewDecoder returns a decoder of an archive with a header.
func NewDecoder(h *layout.Header) *Decoder {
	a := New()
	a.Generation, a.Epoch, a.BootID = h.ID, h.Generation, h.BootID
	return &Decoder{archive: a, accounts: map[uint32]*merge.Account{}}
}

// Archive returns the archive when all records were taken.
func (d *Decoder) Archive() (*Archive, error) {
	if !d.begun {
		return nil, fmt.Errorf("no state record: %w", layout.ErrDamaged)
	}
	return d.archive, nil
}

// Take takes the next record.
func (d *Decoder) Take(r layout.Record) error {
	a := d.archive
	if (r.State == nil) != d.begun {
		return fmt.Errorf("state record is not the first, or not the only state record: %w", layout.ErrDamaged)
	}
	switch {
	case r.State != nil:
		a.State, d.begun = *r.State, true
	case r.Uptimes != nil:
		if a.Uptimes != (layout.Uptimes{}) || *r.Uptimes == a.Uptimes {
			return fmt.Errorf("second uptimes record, or one of zeros: %w", layout.ErrDamaged)
		}
		a.Uptimes = *r.Uptimes
	case r.Family != nil:
		if len(d.families) >= maxFamilies {
			return fmt.Errorf("more than %d families: %w", maxFamilies, layout.ErrLimit)
		}
		if int(r.Number) != len(d.families) {
			return fmt.Errorf("family %d after %d families: %w", r.Number, len(d.families), layout.ErrDamaged)
		}
		if err := r.Family.Validate(); err != nil {
			return err
		}
		d.families = append(d.families, r.Family)
	case r.Rank != nil:
		f, err := d.family(r.Rank.Family)
		if err != nil {
			return err
		}
		a.Ledger.Account(f).Met(r.Rank.Start, r.Rank.ID)
	case r.Total != nil:
		return d.total(r.Total)
	case r.Native != nil:
		return d.native(r.Native)
	case r.Dead != nil:
		if len(d.dead) >= maxDead {
			return fmt.Errorf("more than %d processes with samples: %w", maxDead, layout.ErrLimit)
		}
		if int(r.Dead.Number) != len(d.dead) || a.Ledger.Dead[r.Dead.ID] != nil {
			return fmt.Errorf("process %v after %d processes, or twice: %w", r.Dead.ID, len(d.dead), layout.ErrDamaged)
		}
		dead := &merge.Dead{Process: merge.Process{ID: r.Dead.ID, Start: r.Dead.Start, Label: r.Dead.Label}, Time: r.Dead.Time}
		a.Ledger.Dead[dead.ID] = dead
		d.dead, d.familyOf = append(d.dead, dead), append(d.familyOf, map[uint32]int{})
	case r.Sample != nil:
		return d.sample(r.Sample)
	case r.Base != nil:
		if len(a.Ledger.Bases) >= maxDead {
			return fmt.Errorf("more than %d bases: %w", maxDead, layout.ErrLimit)
		}
		if a.Ledger.Bases[r.Base.ID] != nil {
			return fmt.Errorf("two bases of process %v: %w", r.Base.ID, layout.ErrDamaged)
		}
		d.last, d.base, d.baseOf = nil, &merge.Base{Whole: r.Base.Whole}, map[uint32]int{}
		a.Ledger.Bases[r.Base.ID] = d.base
	case r.Counted != nil:
		return d.counted(r.Counted)
	case r.Absorbed != nil:
		for _, p := range r.Absorbed {
			if n := len(a.absorbed); n > 0 && compare(a.absorbed[n-1].ID, p.ID) >= 0 {
				return fmt.Errorf("absorbed id %v after %v: %w", p.ID, a.absorbed[n-1].ID, layout.ErrDamaged)
			}
			a.absorbed = append(a.absorbed, p)
		}
	case r.Open != nil:
		for _, id := range r.Open {
			if n := len(a.open); n > 0 && compare(a.open[n-1], id) >= 0 {
				return fmt.Errorf("open id %v after %v: %w", id, a.open[n-1], layout.ErrDamaged)
			}
			a.open = append(a.open, id)
		}
	default:
		return fmt.Errorf("record of a process's file in an archive: %w", layout.ErrDamaged)
	}
	return nil
}

func (d *Decoder) family(number uint32) (*layout.Family, error) {
	if uint64(number) >= uint64(len(d.families)) {
		return nil, fmt.Errorf("unknown family %d: %w", number, layout.ErrDamaged)
	}
	return d.families[number], nil
}

func (d *Decoder) total(t *layout.Total) error {
	f, err := d.family(t.Family)
	if err != nil {
		return err
	}
	if err := t.Validate(f); err != nil {
		return err
	}
	account := d.accounts[t.Family]
	if account == nil {
		account = d.archive.Ledger.Account(f)
		d.accounts[t.Family] = account
	}
	d.last = d.archive.Ledger.Put(account, t)
	if d.last == nil {
		return fmt.Errorf("two totals of %q with values %q: %w", f.Name, t.Values, layout.ErrDamaged)
	}
	return nil
}

func (d *Decoder) native(n *layout.Native) error {
	if err := n.Validate(); err != nil {
		return err
	}
	if d.last != nil && d.last.Native() != nil {
		d.last.Native().Add(n)
		return nil
	}
	if d.last == nil && d.base != nil && len(d.base.Inputs) > 0 {
		last := len(d.base.Inputs) - 1
		of := d.base.Families[d.base.Inputs[last].Family]
		if of.Type == layout.NativeHistogram && d.base.Natives[last] == nil {
			d.base.SetNative(last, n)
			return nil
		}
	}
	return fmt.Errorf("native buckets without a total or a base of a native histogram: %w", layout.ErrDamaged)
}

func (d *Decoder) counted(c *layout.Counted) error {
	f, err := d.family(c.Family)
	if err != nil {
		return err
	}
	if err := c.Validate(f); err != nil {
		return err
	}
	if d.last != nil || d.base == nil || d.base.Whole {
		return fmt.Errorf("value of %q without a base: %w", f.Name, layout.ErrDamaged)
	}
	at, known := d.baseOf[c.Family]
	if !known {
		at = len(d.base.Families)
		d.baseOf[c.Family] = at
		d.base.Families = append(d.base.Families, f)
	}
	d.base.Put(merge.Input{Family: at, Values: c.Values, Created: c.Created}, c.Words, nil)
	return nil
}

func (d *Decoder) sample(s *layout.Sample) error {
	f, err := d.family(s.Family)
	if err != nil {
		return err
	}
	if err := s.Validate(f); err != nil {
		return err
	}
	if int(s.Dead) >= len(d.dead) {
		return fmt.Errorf("sample of unknown process %d: %w", s.Dead, layout.ErrDamaged)
	}
	dead, familyOf := d.dead[s.Dead], d.familyOf[s.Dead]
	at, known := familyOf[s.Family]
	if !known {
		at = len(dead.Families)
		familyOf[s.Family] = at
		dead.Families = append(dead.Families, f)
	}
	dead.Inputs = append(dead.Inputs, merge.Input{Family: at, Values: s.Values, Created: s.Created, At: len(dead.Values)})
	dead.Values = append(dead.Values, s.Cell)
	return nil
}
