package store

import (
	"github.com/mpmetrics/mpmetrics/internal/location"
	"github.com/mpmetrics/mpmetrics/internal/owner"
	"github.com/mpmetrics/mpmetrics/internal/place"
	"github.com/mpmetrics/mpmetrics/internal/publisher"
)

// makePlace is a variable for the tests.
var makePlace = newPlace

// newPlace makes the place that the location of a store names. Nothing else chooses a
// place.
func newPlace(s *Store) (place.Place, error) {
	o := &s.opts
	l, err := location.Parse(o.Location)
	if err != nil {
		return nil, err
	}
	s.location = l
	switch l.Kind() {
	case location.Server:
		return publisher.New(publisher.Config{
			Location: l, Process: o.Process, FlushInterval: o.FlushInterval,
			Logger: o.Logger, Now: clock, NoAbsorption: o.NoAbsorption, Host: (*host)(s),
		})
	case location.Directory:
		return owner.New(owner.Config{
			Dir: l.Dir(), ArchiveDir: o.ArchiveDir, Access: o.access(), Process: o.Process,
			Logger: o.Logger, Tick: tick, Now: clock, NoAbsorption: o.NoAbsorption, Host: (*host)(s),
		}, s.catalog), nil
	}
	return place.Memory{}, nil
}
