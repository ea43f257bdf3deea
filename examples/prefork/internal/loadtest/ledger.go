package loadtest

import (
	"math"
	"math/big"
	"sync"
)

// Ledger is the witness of what jobs count, as Load is of requests: it knows what they were given to bill, and what
// those had billed that have ended.
type Ledger struct {
	mu          sync.Mutex // guards what follows, which all that start jobs write
	given, done map[string]entry
}

// entry is what there is of one payment.
type entry struct {
	orders int64
	euros  *big.Rat // exact: nothing rounds between jobs
}

// NewLedger returns an empty ledger.
func NewLedger() *Ledger {
	l := &Ledger{given: make(map[string]entry), done: make(map[string]entry)}
	for _, payment := range payments {
		l.given[payment] = entry{euros: new(big.Rat)}
		l.done[payment] = entry{euros: new(big.Rat)}
	}
	return l
}

// Give notes what a job will have to bill; to be called before it starts.
func (l *Ledger) Give(orders []Order) { l.book(l.given, orders) }

// Done notes what a job has billed; to be called once it has ended.
func (l *Ledger) Done(orders []Order) { l.book(l.done, orders) }

// book adds the orders of one job as its counters do. In a process, whole amounts are summed apart from the others,
// and those one after the other, each addition rounding as it does in client_golang's counter. What the processes
// have comes together without any rounding.
func (l *Ledger) book(entries map[string]entry, orders []Order) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for payment, e := range entries {
		var whole, others float64
		for _, o := range orders {
			if o.Payment != payment {
				continue
			}
			e.orders++
			if o.Euros == math.Trunc(o.Euros) {
				whole += o.Euros
			} else {
				others += o.Euros
			}
		}
		for _, part := range []float64{whole, others} {
			e.euros.Add(e.euros, new(big.Rat).SetFloat64(part))
		}
		entries[payment] = e
	}
}

// orders and euros read an entry. The euros are rounded here, and only here: the float64 that is nearest.
func (l *Ledger) orders(entries map[string]entry, payment string) float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return float64(entries[payment].orders)
}

func (l *Ledger) euros(entries map[string]entry, payment string) float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	nearest, _ := entries[payment].euros.Float64()
	return nearest
}

// Bounds are those of each series of the jobs. Once all jobs have ended, least and most are the same: exact to the
// last bit. Amounts are never negative and rounding keeps order, so the euros of a job at work are within them too.
func (l *Ledger) Bounds() []Bounds {
	var all []Bounds
	for _, family := range []string{billedOrders, billedEuros, billingDuration} {
		amount := l.orders
		if family == billedEuros {
			amount = l.euros
		}
		for _, payment := range payments {
			all = append(all, Bounds{
				Total: Total{Family: family, Label: "payment", Value: payment},
				Least: func() float64 { return amount(l.done, payment) },
				Most:  func() float64 { return amount(l.given, payment) },
			})
		}
	}
	return all
}
