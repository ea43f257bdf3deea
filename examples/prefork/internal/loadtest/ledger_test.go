package loadtest

import "testing"

// TestLedgerIsExact holds the ledger against sums that are known, and against one that rounds on the way.
func TestLedgerIsExact(t *testing.T) {
	ledger := NewLedger()
	euros := func(least bool) float64 {
		for _, b := range ledger.Bounds() {
			if b.Total != (Total{Family: billedEuros, Label: "payment", Value: "card"}) {
				continue
			}
			if least {
				return b.Least()
			}
			return b.Most()
		}
		t.Fatal("no bounds of the euros paid by card")
		return 0
	}

	// In a process each addition rounds, so three tenths are 0.30000000000000004; between processes none does.
	job := []Order{{"card", 0.1}, {"card", 0.1}, {"cash", 5}, {"card", 0.1}, {"card", 2}}
	tenth := 0.1
	sum := tenth + tenth + tenth
	ledger.Give(job)
	if got, want := euros(true), 0.0; got != want {
		t.Errorf("billed before the job ended: got %v, want %v", got, want)
	}
	if got, want := euros(false), sum+2; got != want {
		t.Errorf("given: got %v, want %v", got, want)
	}
	ledger.Done(job)

	naive := sum + 2
	const jobs = 1 << 10 // a power of two, with which a float64 can be multiplied without an error
	for range jobs - 1 {
		ledger.Give(job)
		ledger.Done(job)
		naive += sum
		naive += 2
	}
	want := jobs*sum + jobs*2
	if got := euros(true); got != want {
		t.Errorf("billed by %d jobs: got %v, want %v", jobs, got, want)
	}
	if least, most := euros(true), euros(false); least != most {
		t.Errorf("all jobs have ended: least %v and most %v should be the same", least, most)
	}
	if naive == want {
		t.Errorf("adding up float64s gives %v as well: this test proves nothing", naive)
	}
}

// TestJobsTellSumsApart makes sure that what the jobs are given would show an error: adding up what they have, one
// after the other, does not give the exact sum.
func TestJobsTellSumsApart(t *testing.T) {
	for _, jobs := range []int{30, 300} {
		ledger := NewLedger()
		naive := make(map[string]float64)
		for n := 1; n <= jobs; n++ {
			ledger.Done(ordersOf(n))
			for _, o := range ordersOf(n) {
				naive[o.Payment] += o.Euros
			}
		}
		for _, b := range ledger.Bounds() {
			if exact := b.Least(); b.Family == billedEuros && naive[b.Value] == exact {
				t.Errorf("%d jobs: %s is %v in whatever way it is added up", jobs, b.Total, exact)
			}
		}
	}
}
