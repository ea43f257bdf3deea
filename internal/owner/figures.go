package owner

// Path returns the path of the file, "" if there is none.
func (p *Place) Path() string {
	if f := p.part.Load(); f != nil {
		return f.Path()
	}
	return ""
}

// Pending returns how many series wait in memory for room in the file.
func (p *Place) Pending() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pending.len()
}

// FreeRuns returns how many runs of cells in the file are free for a new series.
func (p *Place) FreeRuns() int {
	if f := p.part.Load(); f != nil {
		return f.FreeRuns()
	}
	return 0
}

// Generation returns how often the series log was rewritten.
func (p *Place) Generation() int {
	if f := p.part.Load(); f != nil {
		return int(f.Header().Generation)
	}
	return 0
}
