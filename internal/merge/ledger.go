package merge

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// Ledger is what the dead amount to: one total for each series they had.
//
// Totals are kept by definition, not by merged family. What definitions have to
// do with each other is decided when they are merged, together with those of
// the living: so the merged values do not change when a process is absorbed.
type Ledger struct {
	accounts map[string]*Account // by wording
	series   int                 // entries of all accounts

	// Dead are the processes that left All samples, by id.
	Dead map[layout.ID]*Dead
}

// Account is one definition and its totals.
type Account struct {
	Family *layout.Family
	key    string // the wording
	newest rank   // process that had it

	entries map[string]*Entry // by label values
}

// Entry is the total of one series.
type Entry struct {
	Values  []string
	Created int64 // start timestamp: the oldest
	Touched int64 // when the last process with the series was absorbed
	Total
}

// Dead is a process of which All samples are left. They take part like those of
// a process whose file is still there.
type Dead struct {
	Process
	Time     int64 // when it was absorbed
	Families []*layout.Family
	Inputs   []Input
	Values   []uint64
}

// NewLedger returns an empty Ledger.
func NewLedger() *Ledger {
	return &Ledger{accounts: map[string]*Account{}, Dead: map[layout.ID]*Dead{}}
}

// Series is the number of totals.
func (l *Ledger) Series() int { return l.series }

// Accounts returns the accounts in a fixed order.
func (l *Ledger) Accounts() []*Account {
	accounts := make([]*Account, 0, len(l.accounts))
	for _, key := range slices.Sorted(maps.Keys(l.accounts)) {
		accounts = append(accounts, l.accounts[key])
	}
	return accounts
}

// Account returns the account of a definition, and opens it if there is none.
func (l *Ledger) Account(f *layout.Family) *Account {
	key := wording(f)
	a := l.accounts[key]
	if a == nil {
		a = &Account{Family: f, key: key, entries: map[string]*Entry{}}
		l.accounts[key] = a
	}
	return a
}

// Newest returns start and id of the newest process that had the definition.
func (a *Account) Newest() (start int64, id layout.ID) { return a.newest.start, a.newest.id }

// Met notes that a process had the definition.
func (a *Account) Met(start int64, id layout.ID) {
	if r := (rank{start, id}); a.newest.compare(r) < 0 {
		a.newest = r
	}
}

// Entries returns the totals in a fixed order.
func (a *Account) Entries() []*Entry {
	entries := make([]*Entry, 0, len(a.entries))
	for _, key := range slices.Sorted(maps.Keys(a.entries)) {
		entries = append(entries, a.entries[key])
	}
	return entries
}

// Put takes a total from an archive. It returns nil when there is one for these
// label values already.
func (l *Ledger) Put(a *Account, t *layout.Total) *Entry {
	key := valuesKey(t.Values)
	if a.entries[key] != nil {
		return nil
	}
	e := &Entry{Values: t.Values, Created: t.Created, Touched: t.Touched, Total: totalOf(a.Family.Type, t.Sums)}
	a.entries[key] = e
	l.series++
	return e
}

// Native returns the native buckets of the total, nil if its family has none.
func (e *Entry) Native() *Native { return e.native }

// Absorb adds what a dead process had: families, inputs and values as a Merger
// takes them, and native buckets by input. Live modes leave; All samples are kept
// as they are. It returns how many sums were left out because they are not finite.
func (l *Ledger) Absorb(p Process, families []*layout.Family, inputs []Input, values []uint64, natives map[int]*layout.Native, now int64) (unabsorbed int) {
	p.Live = false
	dead := &Dead{Process: p, Time: now}
	familyOf := map[int]int{} // index in families to index in dead.Families
	last := lastOfGauges(families, inputs)
	for i, in := range inputs {
		f := families[in.Family]
		if in.Gone || f.Mode.Live() {
			continue
		}
		own := values[in.At : in.At+f.ValueWords()]
		if f.Mode.PerProcess() {
			at, known := familyOf[in.Family]
			if !known {
				at = len(dead.Families)
				familyOf[in.Family] = at
				dead.Families = append(dead.Families, f)
			}
			dead.Inputs = append(dead.Inputs, Input{Family: at, Values: in.Values, Created: in.Created, At: len(dead.Values)})
			dead.Values = append(dead.Values, own...)
			continue
		}
		a := l.Account(f)
		a.Met(p.Start, p.ID)
		e := l.entry(a, in.Values, in.Created)
		e.Touched = max(e.Touched, now)
		if f.ByMode() && last[gaugeOf(f, in)] != i {
			continue
		}
		if n := natives[i]; n != nil && e.native != nil {
			e.native.Add(n)
			e.native.bound()
		}
		if !e.absorb(f, own) && (!f.ByMode() || f.Mode == layout.Sum) {
			unabsorbed++ // of other gauges nobody looks at the sum
		}
	}
	if len(dead.Inputs) > 0 {
		l.Dead[p.ID] = dead
	}
	return unabsorbed
}

func (l *Ledger) entry(a *Account, values []string, created int64) *Entry {
	key := valuesKey(values)
	e := a.entries[key]
	if e == nil {
		e = &Entry{Values: values, Created: created, Total: newTotal(a.Family.Type, len(a.Family.Bounds))}
		a.entries[key] = e
		l.series++
	}
	e.Created = min(e.Created, created)
	return e
}

// lastOfGauges finds the input that counts of a gauge that was deleted from its
// vec and made again: the last one, as in a Merger.
func lastOfGauges(families []*layout.Family, inputs []Input) map[gauge]int {
	last := map[gauge]int{}
	for i, in := range inputs {
		if f := families[in.Family]; !in.Gone && f.ByMode() {
			last[gaugeOf(f, in)] = i
		}
	}
	return last
}

// gauge is one gauge of a process.
type gauge struct{ wording, values string }

func gaugeOf(f *layout.Family, in Input) gauge { return gauge{wording(f), valuesKey(in.Values)} }

// Expire drops the All samples of processes that were absorbed before a time,
// and returns of how many.
func (l *Ledger) Expire(before int64) (processes int) {
	n := len(l.Dead)
	maps.DeleteFunc(l.Dead, func(_ layout.ID, d *Dead) bool { return d.Time < before })
	return n - len(l.Dead)
}

// Aged reports whether Forget would look for something to drop.
func (l *Ledger) Aged(before int64, limit int) bool {
	if l.series > limit {
		return true
	}
	for _, a := range l.accounts {
		for _, e := range a.entries {
			if e.Touched < before {
				return true
			}
		}
	}
	return false
}

// Living are the series of processes that are not in a Ledger.
type Living map[string]struct{}

// Add adds the series of a process.
func (l Living) Add(families []*layout.Family, inputs []Input) {
	for _, in := range inputs {
		if !in.Gone {
			f := families[in.Family]
			l[seriesKey(f.Name, sortedLabels(f, in.Values, 0))] = struct{}{}
		}
	}
}

// Forget drops series that no living process has: those that were touched before
// a time, and while there are more than limit totals, the ones that were touched
// least recently. A series leaves whole, with all its definitions: a part of a
// counter would be a dip. It returns the number of series.
func (l *Ledger) Forget(before int64, limit int, living Living) (series int) {
	type candidate struct {
		key     string
		touched int64
		drop    []func()
	}
	byKey := map[string]*candidate{}
	for _, a := range l.accounts {
		for key, e := range a.entries {
			merged := seriesKey(a.Family.Name, sortedLabels(a.Family, e.Values, 0))
			if _, lives := living[merged]; lives {
				continue
			}
			c := byKey[merged]
			if c == nil {
				c = &candidate{key: merged}
				byKey[merged] = c
			}
			c.touched = max(c.touched, e.Touched)
			c.drop = append(c.drop, func() {
				delete(a.entries, key)
				l.series--
				if len(a.entries) == 0 {
					delete(l.accounts, a.key)
				}
			})
		}
	}
	candidates := slices.SortedFunc(maps.Values(byKey), func(a, b *candidate) int {
		return cmp.Or(cmp.Compare(a.touched, b.touched), strings.Compare(a.key, b.key))
	})
	for _, c := range candidates {
		if c.touched >= before && l.series <= limit {
			break
		}
		for _, drop := range c.drop {
			drop()
		}
		series++
	}
	return series
}

// Touch notes that living processes have some of the series now, so that these
// do not look old for as long.
func (l *Ledger) Touch(living Living, now int64) {
	for _, a := range l.accounts {
		for _, e := range a.entries {
			if _, lives := living[seriesKey(a.Family.Name, sortedLabels(a.Family, e.Values, 0))]; lives {
				e.Touched = now
			}
		}
	}
}

// wording is a text that two families have in common only when they are equal.
func wording(f *layout.Family) string { return string(layout.AppendFamily(nil, 0, f)) }

// valuesKey is unique among the label values of a family: 0xff is in no UTF-8.
func valuesKey(values []string) string { return strings.Join(values, "\xff") }
