package publisher

import "time"

// SetNow replaces the clock.
func (p *Publisher) SetNow(now func() time.Time) { p.now = now }
