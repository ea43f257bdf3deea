package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// findTool finds a program of the Prometheus project, or says how to get it.
func findTool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is not installed: run `make deps`, or apt-get install --no-install-recommends prometheus", name)
	}
	return path
}

// promServer is a Prometheus server with one target.
type promServer struct{ url string }

// startPrometheus starts the server on a free port, with flags; it ends with the test.
func startPrometheus(t *testing.T, binary, target string, flags ...string) promServer {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	text := fmt.Sprintf(`
global: {scrape_interval: 1s}
scrape_configs:
  - job_name: prefork
    static_configs: [{targets: ['%s']}]
`, target)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()

	var log bytes.Buffer
	server := exec.Command(binary, append(flags, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+addr)...)
	server.Stdout, server.Stderr = &log, &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGTERM)
		if err := server.Wait(); err != nil || t.Failed() {
			t.Logf("prometheus: %v\n%s", err, &log)
		}
	})
	return promServer{url: "http://" + addr}
}

// series is one result of a query: an instant vector has Value, a range vector Values.
type series struct {
	Metric map[string]string `json:"metric"`
	Value  sample            `json:"value"`
	Values []sample          `json:"values"`
}

// last is the newest sample.
func (s series) last() sample {
	if n := len(s.Values); n > 0 {
		return s.Values[n-1]
	}
	return s.Value
}

// sample is a value at a time in seconds, in JSON [time, "value"].
type sample struct{ time, value float64 }

func (s *sample) UnmarshalJSON(text []byte) error {
	var value string
	if err := json.Unmarshal(text, &[]any{&s.time, &value}); err != nil {
		return err
	}
	var err error
	s.value, err = strconv.ParseFloat(value, 64)
	return err
}

// ask asks a query and says when the server could not be asked: it may be starting.
func (p promServer) ask(query string) ([]series, error) {
	response, err := http.Get(p.url + "/api/v1/query?" + url.Values{"query": {query}}.Encode())
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var answer struct {
		Error string `json:"error"`
		Data  struct {
			Result []series `json:"result"`
		} `json:"data"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return nil, fmt.Errorf("query %s: %s: %w", query, response.Status, err)
	}
	if answer.Error != "" {
		return nil, fmt.Errorf("query %s: %s", query, answer.Error)
	}
	return answer.Data.Result, nil
}

func (p promServer) query(t *testing.T, query string) []series {
	t.Helper()
	found, err := p.ask(query)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// waitForSample waits until the newest stored sample of a series is acceptable, and returns it.
func (p promServer) waitForSample(t *testing.T, selector string, acceptable func(sample) bool) sample {
	t.Helper()
	const patience = 60 * time.Second // the first scrape comes some seconds after the start
	var found []series
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		found, err = p.ask(selector + "[10m]")
		if err == nil && len(found) == 1 && acceptable(found[0].last()) {
			return found[0].last()
		}
	}
	t.Fatalf("no such sample of %s within %v: %v, %v", selector, patience, found, err)
	return sample{}
}

// waitForValue waits until a query has one result, of a value.
func (p promServer) waitForValue(t *testing.T, query string, want float64) {
	t.Helper()
	const patience = 60 * time.Second
	var found []series
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		found, err = p.ask(query)
		if err == nil && len(found) == 1 && found[0].Value.value == want {
			return
		}
	}
	t.Fatalf("%s is not %v within %v: %v, %v", query, want, patience, found, err)
}

// samples are the stored samples of one series from one to another, both included.
func (p promServer) samples(t *testing.T, selector string, from, to sample) []sample {
	t.Helper()
	found := p.query(t, selector+"[10m]")
	if len(found) != 1 {
		t.Fatalf("%s: got %d series, want 1", selector, len(found))
	}
	var within []sample
	for _, s := range found[0].Values {
		if s.time >= from.time && s.time <= to.time {
			within = append(within, s)
		}
	}
	return within
}
