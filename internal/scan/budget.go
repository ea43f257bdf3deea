package scan

import (
	"fmt"
	"sync"
)

// maxMemory bounds the memory for the readings of all processes together. It holds some twenty
// million series, more than a Prometheus server takes from one target.
const maxMemory = 4 << 30

// Budget counts and bounds the memory of the readings of a Source. The zero value is ready for use.
// The methods may run in parallel.
type Budget struct {
	mu   sync.Mutex // held for some instructions
	used int64
	most int64 // 0: maxMemory
}

// Keep counts the memory of a reading, and stores the count in counted for the next call. A reading
// beyond the bound is ErrMemory, and counts as before.
func (b *Budget) Keep(name string, counted *int64, now int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used+now-*counted > b.bound() {
		return b.Beyond(name)
	}
	b.used += now - *counted
	*counted = now
	return nil
}

// Beyond is the error of a reading beyond the bound.
func (b *Budget) Beyond(name string) error {
	return fmt.Errorf("%s and other files, more than %d bytes: %w", name, b.bound(), ErrMemory)
}

func (b *Budget) bound() int64 {
	if b.most == 0 {
		return maxMemory
	}
	return b.most
}

// GiveBack gives back the memory that Keep counted.
func (b *Budget) GiveBack(counted *int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= *counted
	*counted = 0
}
