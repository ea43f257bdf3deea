package merge

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// Ledger has the totals of dead processes: one total for each series.
//
// Totals are kept by definition, not by merged family. Conflicts between definitions are decided
// at the merge, together with the definitions of living processes. Therefore an absorption does
// not change the merged values.
type Ledger struct {
	accounts map[string]*Account // by wording
	series   int                 // entries of all accounts

	// Dead are the processes with kept All samples, by id.
	Dead map[layout.ID]*Dead

	// Bases are the bases of processes without an absorption, by id. A base of the zero id is the base
	// of every other process that began before the restart of totals.
	Bases map[layout.ID]*Base
}

// Account is one definition and its totals.
type Account struct {
	Family *layout.Family
	key    string // the wording
	newest rank   // newest process with the definition

	entries map[string]*Entry // by label values
}

// Entry is the total of one series.
type Entry struct {
	Values  []string
	Created int64 // start timestamp: the oldest
	Touched int64 // when the last process with the series was absorbed; 0: see Share
	Total
}

// Share reports whether all processes with the series had deleted the series: the total is merged
// only while others have the series.
func (e *Entry) Share() bool { return e.Touched == 0 }

// Dead is a dead process with kept All samples. The samples are merged as if the file of the
// process still existed.
type Dead struct {
	Process
	Time     int64 // of the absorption
	Families []*layout.Family
	Inputs   []Input
	Values   []uint64
}

// NewLedger returns an empty Ledger.
func NewLedger() *Ledger {
	return &Ledger{accounts: map[string]*Account{}, Dead: map[layout.ID]*Dead{}, Bases: map[layout.ID]*Base{}}
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

// Account returns the account of a definition. Account opens a missing account.
func (l *Ledger) Account(f *layout.Family) *Account {
	key := f.Wording()
	a := l.accounts[key]
	if a == nil {
		a = &Account{Family: f, key: key, entries: map[string]*Entry{}}
		l.accounts[key] = a
	}
	return a
}

// Newest returns start and id of the newest process with the definition.
func (a *Account) Newest() (start int64, id layout.ID) { return a.newest.start, a.newest.id }

// Met notes a process with the definition.
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

// Put adds a total from an archive. Put returns nil if the account already has a total for the
// label values.
func (l *Ledger) Put(a *Account, t *layout.Total) *Entry {
	key := layout.ValuesKey(t.Values)
	if a.entries[key] != nil {
		return nil
	}
	e := &Entry{Values: t.Values, Created: t.Created, Touched: t.Touched, Total: totalOf(a.Family.Type, t.Sums)}
	a.entries[key] = e
	l.series++
	return e
}

// Native returns the native buckets of the total, nil if the family has no native buckets.
func (e *Entry) Native() *Native { return e.native }

// Absorb adds the values of a dead process: families, inputs and values as for a Merger, and
// native buckets by input. Absorb skips gauges of live modes and keeps All samples unchanged.
// Absorb returns the number of sums not added because the result would not be finite.
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
		e := l.entry(a, in.Values, in.Created)
		if !in.Share {
			a.Met(p.Start, p.ID)
			e.Touched = max(e.Touched, now)
		}
		if f.ByMode() && last[gaugeOf(f, in)] != i {
			continue
		}
		if n := natives[i]; n != nil && e.native != nil {
			e.native.Add(n)
			e.native.bound()
		}
		if !e.absorb(f, own) && (!f.ByMode() || f.Mode == layout.Sum) {
			unabsorbed++ // for any other gauge no reader uses the sum
		}
	}
	if len(dead.Inputs) > 0 {
		l.Dead[p.ID] = dead
	}
	return unabsorbed
}

func (l *Ledger) entry(a *Account, values []string, created int64) *Entry {
	key := layout.ValuesKey(values)
	e := a.entries[key]
	if e == nil {
		e = &Entry{Values: values, Created: created, Total: newTotal(a.Family.Type, len(a.Family.Bounds))}
		a.entries[key] = e
		l.series++
	}
	e.Created = min(e.Created, created)
	return e
}

// lastOfGauges finds the last input of each gauge. A gauge deleted from its vec and made again has
// several inputs, and only the last input counts, as in a Merger.
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

func gaugeOf(f *layout.Family, in Input) gauge {
	return gauge{f.Wording(), layout.ValuesKey(in.Values)}
}

// Expire drops the All samples of processes absorbed before a time, and returns the number of
// processes.
func (l *Ledger) Expire(before int64) (processes int) {
	n := len(l.Dead)
	maps.DeleteFunc(l.Dead, func(_ layout.ID, d *Dead) bool { return d.Time < before })
	return n - len(l.Dead)
}

// Rejuvenate takes absorptions in the future, by a wrong clock, for absorptions of now.
func (l *Ledger) Rejuvenate(now int64) (processes int) {
	for _, d := range l.Dead {
		if d.Time > now {
			d.Time = now
			processes++
		}
	}
	return processes
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

// Living are the series of the processes outside a Ledger.
type Living map[string]struct{}

// Add adds the series of a process.
func (l Living) Add(families []*layout.Family, inputs []Input) {
	for _, in := range inputs {
		if !in.Gone && !in.Share {
			f := families[in.Family]
			l[seriesKey(f.Name, sortedLabels(f, in.Values, 0))] = struct{}{}
		}
	}
}

// Forget drops series that no living process has: first the series last touched before a time,
// then, while the ledger has more than limit totals, the series touched least recently. Forget
// drops a series as a whole, with all its definitions: otherwise a counter would dip. Forget
// returns the number of series.
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
		if c.touched > 0 { // otherwise nobody saw the series
			series++
		}
	}
	return series
}

// Touch notes that living processes have some of the series at time now, so that the series do not
// look old.
func (l *Ledger) Touch(living Living, now int64) {
	for _, a := range l.accounts {
		for _, e := range a.entries {
			if _, lives := living[seriesKey(a.Family.Name, sortedLabels(a.Family, e.Values, 0))]; lives && !e.Share() {
				e.Touched = now
			}
		}
	}
}
