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
		if err := p.command(t.Context(), p.loads...).Run(); err != nil {
			t.Logf("missing: %s: %s", p.name, p.missing)
			continue
		}
		for _, shape := range []string{"counters", "histograms"} {
			s := scraped{"trial", shape, 2, "Trial/" + shape}
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
		r.add("Benchmark"+scrapes[1].row+"/lib="+lib, perOperation, v)
	}
	text := reportPeers(r, []string{"GitLab mmap (`apt-get`)"})
	for _, part := range []string{"64 × 1000 counters", "1.00 ms ±0%", "88.0 ms ±0% (88 ×)", "| missing", "Missing on this machine: GitLab mmap (`apt-get`)."} {
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
			r.add("Benchmark"+s.row+"/lib="+lib, perOperation, float64((i+1)*s.processes)*1e5)
		}
	}
	svg, err := plot(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"<svg", "mpmetrics", "client_golang, one process", "client_python", "100 ms"} {
		if !strings.Contains(string(svg), part) {
			t.Errorf("no %q in the plot", part)
		}
	}
	if strings.Contains(string(svg), "GitLab") {
		t.Error("a line for a library that was not measured")
	}
}
