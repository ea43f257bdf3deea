// Package promserver runs the programs of the Prometheus project for tests: a real server scrapes
// the test and answers queries.
package promserver

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

	"github.com/mpmetrics/mpmetrics/internal/testing/reexec"
)

// FindTool finds a program of the Prometheus project. If the program is missing, FindTool fails
// the test with a hint.
func FindTool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is not installed: run `make deps`, or apt-get install --no-install-recommends prometheus", name)
	}
	return path
}

// Server is a Prometheus server with one target.
type Server struct{ url string }

// Start starts the server on a free port, with flags. The server ends with the test.
func Start(t *testing.T, binary, target string, flags ...string) Server {
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
	cmd := exec.Command(binary, append(flags, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+addr)...)
	cmd.Stdout, cmd.Stderr = &log, &log
	server := reexec.Run(t, cmd)
	t.Cleanup(func() {
		server.Signal(syscall.SIGTERM)
		if _, err := server.Wait(); err != nil || t.Failed() {
			t.Logf("prometheus: %v\n%s", err, &log)
		}
	})
	return Server{url: "http://" + addr}
}

// Series is one result of a query: an instant vector has Value, a range vector Values.
type Series struct {
	Metric map[string]string `json:"metric"`
	Value  Sample            `json:"value"`
	Values []Sample          `json:"values"`
}

// Last is the newest sample.
func (s Series) Last() Sample {
	if n := len(s.Values); n > 0 {
		return s.Values[n-1]
	}
	return s.Value
}

// Sample is a value at a time in seconds, in JSON [time, "value"].
type Sample struct{ Time, Value float64 }

// UnmarshalJSON implements json.Unmarshaler.
func (s *Sample) UnmarshalJSON(text []byte) error {
	var value string
	if err := json.Unmarshal(text, &[]any{&s.Time, &value}); err != nil {
		return err
	}
	var err error
	s.Value, err = strconv.ParseFloat(value, 64)
	return err
}

// ask asks a query. An error means that the server may still be starting.
func (p Server) ask(query string) ([]Series, error) {
	response, err := http.Get(p.url + "/api/v1/query?" + url.Values{"query": {query}}.Encode())
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var answer struct {
		Error string `json:"error"`
		Data  struct {
			Result []Series `json:"result"`
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

// Query asks a query.
func (p Server) Query(t *testing.T, query string) []Series {
	t.Helper()
	found, err := p.ask(query)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// WaitForSample waits until the newest stored sample of a series is acceptable, and returns the
// sample.
func (p Server) WaitForSample(t *testing.T, selector string, acceptable func(Sample) bool) Sample {
	t.Helper()
	const patience = 60 * time.Second // the first scrape comes some seconds after the start
	var found []Series
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		found, err = p.ask(selector + "[10m]")
		if err == nil && len(found) == 1 && acceptable(found[0].Last()) {
			return found[0].Last()
		}
	}
	t.Fatalf("no such sample of %s within %v: %v, %v", selector, patience, found, err)
	return Sample{}
}

// WaitForValue waits until a query has one result, of a value.
func (p Server) WaitForValue(t *testing.T, query string, want float64) {
	t.Helper()
	const patience = 60 * time.Second
	var found []Series
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		found, err = p.ask(query)
		if err == nil && len(found) == 1 && found[0].Value.Value == want {
			return
		}
	}
	t.Fatalf("%s is not %v within %v: %v, %v", query, want, patience, found, err)
}

// Samples are the stored samples of one series between two samples, both included.
func (p Server) Samples(t *testing.T, selector string, from, to Sample) []Sample {
	t.Helper()
	found := p.Query(t, selector+"[10m]")
	if len(found) != 1 {
		t.Fatalf("%s: got %d series, want 1", selector, len(found))
	}
	var within []Sample
	for _, s := range found[0].Values {
		if s.Time >= from.Time && s.Time <= to.Time {
			within = append(within, s)
		}
	}
	return within
}
