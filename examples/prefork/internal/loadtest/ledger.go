package loadtest

import (
	"math"
	"math/big"
	"sync"
)

// Ledger is the witness of jobs, as Load is of requests. A Ledger knows the orders given to jobs,
// and the orders of the jobs that have ended.
type Ledger struct {
	mu          sync.Mutex // guards the fields below: every goroutine that starts jobs writes them
	given, done map[string]entry
}

// entry is the sum of the orders of one payment.
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

// Give notes the orders of a job, before the start of the job.
func (l *Ledger) Give(orders []Order) { l.book(l.given, orders) }

// Done notes the orders of a job, after the end of the job.
func (l *Ledger) Done(orders []Order) { l.book(l.done, orders) }

// book adds the orders of one job like the job's counters do. A process sums whole amounts apart
// from fractions. Fractions are summed in order, and each addition rounds as in client_golang's
// counter. The sums of processes are added up without rounding.
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

// orders and euros read an entry. Only euros rounds, to the nearest float64.
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

// Bounds are the bounds of each series of the jobs. After the end of all jobs, least and most are
// the same: exact to the last bit. Amounts are never negative and rounding keeps order, so the
// euros of a job at work are within the bounds too.
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
