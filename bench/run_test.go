package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"testing"

	"github.com/mpmetrics/mpmetrics/internal/testing/effort"
	"github.com/mpmetrics/mpmetrics/store"
)

// Every benchmark runs, once, and gives the report what it asks for. That the figures mean nothing here is why they
// are not looked at.
func TestBenchmarksRun(t *testing.T) {
	if effort.Few() {
		t.Skip("a minute with the race detector")
	}
	s, err := store.Open(store.Opts{Location: directory(t)})
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Close()

	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^$", "-test.bench=.", "-test.benchtime=1x", "-processes=2")
	cmd.Env = append(os.Environ(), dirEnv+"="+directory(t))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	r := newResults()
	if err := r.parse(bytes.NewReader(out)); err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if len(r.of(row.name, "mpmetrics", row.unit)) == 0 {
			t.Errorf("%s: no benchmark %s with %s", row.what, row.name, row.unit)
		}
		if row.beside == "" && (row.target.ratio > 0 || row.target.more > 0) && len(r.of(row.name, "client_golang", row.unit)) == 0 {
			t.Errorf("%s: no benchmark %s of client_golang", row.what, row.name)
		}
	}
}
