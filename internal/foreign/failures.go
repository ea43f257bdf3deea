package foreign

import (
	"errors"
	"fmt"
	"slices"
)

// Failures returns the errors of the last look at each collector, and why the mirror left a series of
// the look out, with the names of the families; nil if all looks went well.
func (m *Mirror) Failures() error {
	m.mu.Lock()
	guards := slices.Clone(m.guards)
	m.mu.Unlock()
	var errs []error
	for _, g := range guards {
		if err := g.failure(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", g.names, err))
		}
	}
	return errors.Join(errs...)
}

func (g *guard) failure() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return errors.Join(g.failed, g.leftOut)
}
