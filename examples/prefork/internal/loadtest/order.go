package loadtest

import "fmt"

// The metrics of the jobs: each order is in all three, under its payment.
const (
	billedOrders    = "billing_orders_total"
	billedEuros     = "billing_euros_total"
	billingDuration = "billing_order_duration_seconds"
)

// payments are the values of the one label that the jobs' series have: however many jobs run, the distinct series
// stay the same nine.
var payments = []string{"card", "cash", "invoice"}

// Order is what a job is told to bill.
type Order struct {
	Payment string
	Euros   float64
}

// String is the order as an argument of the example. It reads back as the very same float64.
func (o Order) String() string { return fmt.Sprintf("%s=%v", o.Payment, o.Euros) }

// ordersOf makes up what the n-th job has to bill. Most amounts are 0.1, which no float64 is, so that a sum with an
// error anywhere on the way ends in other digits; some are whole, which counters keep apart. Jobs differ in number.
func ordersOf(n int) []Order {
	const least, spread, wholeEvery = 24, 7, 8
	orders := make([]Order, least+n%spread)
	for i := range orders {
		orders[i] = Order{Payment: payments[i%len(payments)], Euros: 0.1}
		if i%wholeEvery == 0 {
			orders[i].Euros = float64(1 + n%10)
		}
	}
	return orders
}
