package main

import (
	"strings"
	"testing"
)

// Each peer that is there does its work; its script fails when the scrape is not what it has to be. Those that are
// missing say how to get them.
func TestPeers(t *testing.T) {
	r := newResults()
	for _, p := range peers {
		version, err := p.command(t.Context(), p.loads...).Output()
		if err != nil {
			t.Logf("missing: %s: %s", p.name, p.missing)
			continue
		}
		if text := strings.TrimSpace(string(version)); !strings.Contains(text, ".") || strings.Contains(text, "\n") {
			t.Errorf("%s says that its version is %q", p.name, text)
		}
		for _, shape := range []string{"counters", "histograms", "inc"} {
			s := scraped{shape: shape, processes: 2, series: 20, row: "Trial/" + shape}
			if shape == "counters" && !p.forgets {
				s.dead = 3
			}
			if err := p.scrape(t.Context(), t.TempDir(), s, r); err != nil {
				t.Error(err)
			}
			if got := r.of(s.row, p.name, perOperation); len(got) != peerRounds || got.median() <= 0 {
				t.Errorf("%s: %v", p.name, got)
			}
		}
	}
}

func TestReportPeers(t *testing.T) {
	r := newResults()
	for lib, v := range map[string]float64{"mpmetrics": 1e6, "client_python": 88e6} {
		r.add("Benchmark"+scrapes[2].row+"/lib="+lib, perOperation, v)
	}
	text := reportPeers(r, []string{"Redis 7.0"}, []string{"GitLab mmap (`apt-get`)"})
	for _, part := range []string{"64 × 1000 counters", "1.00 ms ±0%", "88.0 ms ±0% (88 ×)", "Versions: Redis 7.0.", "Missing on this machine: GitLab mmap (`apt-get`)."} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in\n%s", part, text)
		}
	}
	if strings.Contains(text, scrapes[0].what) {
		t.Error("a row that was not measured")
	}
}

// The plot has a line for each library that was measured.
func TestPlot(t *testing.T) {
	r := newResults()
	for _, s := range scrapes {
		for i, lib := range libraries()[:3] {
			r.add("Benchmark"+s.row+"/lib="+lib, perOperation, float64((i+1)*(1+s.processes+s.series+s.dead))*1e3)
		}
	}
	for _, p := range plots {
		svg, err := p.draw(r)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{"<svg", "mpmetrics", "client_golang, one process", "client_python", "100 ms", p.axis} {
			if !strings.Contains(string(svg), part) {
				t.Errorf("no %q in %s", part, p.file)
			}
		}
		if strings.Contains(string(svg), "GitLab") {
			t.Errorf("%s: a line for a library that was not measured", p.file)
		}
	}
}
