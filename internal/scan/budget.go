package scan

import (
	"fmt"
	"sync"
)

// maxMemory bounds what is kept of all processes together, some twenty million
// series: more than a Prometheus server takes from one target.
const maxMemory = 4 << 30

// Budget counts the memory that the readings of a Source take, and bounds it. The
// zero value is ready for use. Its methods may run in parallel.
type Budget struct {
	mu   sync.Mutex // held for some instructions
	used int64
	most int64 // 0: maxMemory
}

// Keep counts what a reading takes now, and notes it in counted: where the last call
// for the same reading noted it. A reading that does not fit is ErrMemory, and counted
// as before.
func (b *Budget) Keep(name string, counted *int64, now int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	most := b.most
	if most == 0 {
		most = maxMemory
	}
	if b.used+now-*counted > most {
		return fmt.Errorf("%s and other files, more than %d bytes: %w", name, most, ErrMemory)
	}
	b.used += now - *counted
	*counted = now
	return nil
}

// GiveBack takes back what Keep counted.
func (b *Budget) GiveBack(counted *int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= *counted
	*counted = 0
}
