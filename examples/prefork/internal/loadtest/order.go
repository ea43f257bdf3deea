package loadtest

import "fmt"

// The metrics of the jobs: each order is in all three, under its payment.
const (
	billedOrders    = "billing_orders_total"
	billedEuros     = "billing_euros_total"
	billingDuration = "billing_order_duration_seconds"
)

// payments are the values of the only label of the jobs' series: however many jobs run, the series
// stay the same nine.
var payments = []string{"card", "cash", "invoice"}

// Order is an order for a job to bill.
type Order struct {
	Payment string
	Euros   float64
}

// String is the order as an argument of the example. The argument parses to the same float64.
func (o Order) String() string { return fmt.Sprintf("%s=%v", o.Payment, o.Euros) }

// ordersOf makes up the orders of the n-th job. Most amounts are 0.1, not exact in float64, so
// that an error in a sum changes the digits; some amounts are whole, and counters keep whole
// amounts apart. Jobs have different numbers of orders.
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
