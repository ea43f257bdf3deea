package inspect

// Total is the sum of all series of a family: of their values, or of their counts if the family is
// a histogram or summary. The Total of gauges is 0.
func (s *Survey) Total(f *Family) (total float64) {
	if f.merged == nil || !f.Type.Cumulative() {
		return 0
	}
	for _, series := range f.merged.Series {
		total += number(f, series, func() float64 { return s.inspector.merger.Counter(series) })
	}
	return total
}

// Totals are the shares of each process in a family's Total, by name of the file. Call Totals
// before the next Read.
func (s *Survey) Totals(f *Family) map[string]float64 {
	totals := map[string]float64{}
	if f.merged == nil || !f.Type.Cumulative() {
		return totals
	}
	for _, p := range s.Processes {
		if sum, has := s.inspector.scanner.Sum(p.seen, f.merged); has {
			totals[p.Name] = sum
		}
	}
	return totals
}
