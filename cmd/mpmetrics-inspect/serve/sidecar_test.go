//go:build unix

package serve

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/exporter-toolkit/web"

	"github.com/mpmetrics/mpmetrics/internal/testing/effort"
	"github.com/mpmetrics/mpmetrics/internal/testing/promserver"
	"github.com/mpmetrics/mpmetrics/internal/testing/promtest"
	"github.com/mpmetrics/mpmetrics/internal/testing/reexec"
	"github.com/mpmetrics/mpmetrics/internal/testing/testdir"
	"github.com/mpmetrics/mpmetrics/store"
)

func TestMain(m *testing.M) {
	reexec.Programs{"sidecar": runSidecar, "worker": runWorker, "crowd": runCrowd}.Main()
	os.Exit(m.Run())
}

// runSidecar is the command's serve: its arguments are the directory and a web
// configuration.
func runSidecar(args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	addresses, no := []string{"127.0.0.1:0"}, false
	return Run(ctx, Opts{
		Dir: args[0], TelemetryPath: "/metrics", MaxRequests: 40, Logger: promslog.New(&promslog.Config{}),
		Web: web.FlagConfig{WebListenAddresses: &addresses, WebSystemdSocket: &no, WebConfigFile: &args[1]},
	})
}

// runWorker counts without an end, and says how far it is.
func runWorker([]string) error {
	c := store.NewCounter(prometheus.CounterOpts{Name: "mails_total", Help: "h"})
	store.NewGauge(prometheus.GaugeOpts{Name: "queue", Help: "h"}).Set(3)
	for n := 1; ; n++ {
		c.Inc()
		fmt.Println(n)
		time.Sleep(time.Millisecond)
	}
}

// runCrowd has a thousand series, and counts now and then.
func runCrowd([]string) error {
	v := store.NewCounterVec(prometheus.CounterOpts{Name: "crowd_total", Help: "h"}, []string{"n"})
	for n := range crowdSeries {
		v.WithLabelValues(strconv.Itoa(n)).Inc()
	}
	fmt.Println("ready")
	go func() {
		for {
			v.WithLabelValues("0").Inc()
			time.Sleep(10 * time.Millisecond)
		}
	}()
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// child is a program that runs.
type child struct{ *reexec.Process }

// start starts a program; with contain it is the first process of a pid namespace.
func start(t *testing.T, program, dir string, contain func(*exec.Cmd), arguments ...string) *child {
	t.Helper()
	cmd := reexec.Command(program, append([]string{dir}, arguments...)...)
	cmd.Env = append(cmd.Env, store.EnvDir+"="+dir)
	if contain != nil {
		contain(cmd)
	}
	if program == "sidecar" {
		return &child{reexec.RunLog(t, cmd)} // its log says where it listens
	}
	return &child{reexec.Run(t, cmd)}
}

// address reads the log of a sidecar until it says where it listens.
func (c *child) address() string {
	for {
		if _, rest, found := strings.Cut(c.Line(), `msg="Listening on" address=`); found {
			go func() { _, _ = io.Copy(io.Discard, c.Output()) }() // or the pipe fills up
			return strings.Fields(rest)[0]
		}
	}
}

func fetch(client *http.Client, url string, header ...string) (*http.Response, []byte, error) {
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return nil, nil, err
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	answer, err := client.Do(request)
	if err != nil {
		return nil, nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return answer, body, err
}

// A worker without HTTP that was killed is on the page of its sidecar, which is in another
// pid namespace, and in a real Prometheus: all that it counted.
func TestSidecarOfTheKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a server")
	}
	prometheusBinary, promtool := promserver.FindTool(t, "prometheus"), promserver.FindTool(t, "promtool")
	dir := testdir.New(t)
	address := start(t, "sidecar", dir, namespace(t), "").address() // before any worker
	prom := promserver.Start(t, prometheusBinary, address)
	worker := start(t, "worker", dir, nil)
	for range 100 {
		worker.Line()
	}
	prom.WaitForValue(t, "queue", 3)
	said := 100 + bytes.Count(worker.Kill(), []byte("\n"))
	_, text, err := fetch(http.DefaultClient, "http://"+address+"/metrics")
	if err != nil {
		t.Fatal(err)
	}
	got := promtest.Sample(string(text), "mails_total")
	if got < float64(said) || got > float64(said+1) { // it may have counted one that it did not say
		t.Errorf("%v mails, the worker said %d", got, said)
	}
	if v := promtest.Sample(string(text), "queue"); v != -1 {
		t.Errorf("queue of a dead worker: %v", v)
	}
	prom.WaitForValue(t, "mails_total", got)
	check := exec.Command(promtool, "check", "metrics")
	check.Stdin = bytes.NewReader(text)
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("promtool: %v\n%s", err, out)
	}
}

const (
	crowdProcesses = 64
	crowdSeries    = 1000
	scrapers       = 8
)

// Many scrapers at once get all, one that does not read holds nobody else, and memory
// stays what it was.
func TestSidecarUnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("starts 64 processes")
	}
	lasting := 3 * time.Second
	if effort.Soak() {
		lasting = 30 * time.Second
	}
	dir := testdir.New(t)
	crowd := make([]*child, crowdProcesses)
	for i := range crowd {
		crowd[i] = start(t, "crowd", dir, nil)
	}
	for _, c := range crowd {
		c.Line()
	}
	sidecar := start(t, "sidecar", dir, nil, "")
	url := "http://" + sidecar.address() + "/metrics"

	// It asks, and does not read what comes: half a megabyte, more than sockets hold.
	for range 3 {
		slow, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/metrics"))
		if err != nil {
			t.Fatal(err)
		}
		defer slow.Close()
		if _, err := fmt.Fprintf(slow, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	var mu sync.Mutex
	var took []time.Duration
	round := func() (memory int) {
		var all sync.WaitGroup
		end := time.Now().Add(lasting / 2)
		for range scrapers {
			all.Go(func() {
				for time.Now().Before(end) {
					begun := time.Now()
					answer, text, err := fetch(http.DefaultClient, url)
					if err != nil || answer.StatusCode != http.StatusOK || promtest.Sample(string(text), `crowd_total{n="999"}`) != crowdProcesses || promtest.Sample(string(text), "mpmetrics_up") != 1 {
						t.Errorf("a scrape: %v, %d bytes", err, len(text))
						return
					}
					mu.Lock()
					took = append(took, time.Since(begun))
					mu.Unlock()
				}
			})
		}
		all.Wait()
		return resident(t, sidecar.Cmd.Process.Pid)
	}
	before := round()
	after := round()
	slices.Sort(took)
	t.Logf("%d scrapes by %d at once: median %v, p99 %v; resident %d and %d KiB", len(took), scrapers, took[len(took)/2], took[len(took)*99/100], before, after)
	if before > 0 && after > 2*before {
		t.Errorf("resident memory grew from %d to %d KiB", before, after)
	}
}

// resident is the resident memory of a process in KiB, 0 where nobody says.
func resident(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, found := strings.CutPrefix(line, "VmRSS:"); found {
			n, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	return 0
}

// password is what hash is of, as exporter-toolkit's file wants it.
const (
	password = "open sesame"
	hash     = "$2a$04$vRcvJzihIiINMxqRZR6ks.yNin7R50QjcHyPNhGsYcnaBWHqgrfjK"
)

// With TLS and a password nobody reads without them.
func TestSidecarBehindTLS(t *testing.T) {
	dir, keys := testdir.New(t), t.TempDir()
	pool := certificate(t, keys)
	config := filepath.Join(keys, "web.yml")
	text := fmt.Sprintf("tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\nbasic_auth_users:\n  prometheus: %s\n", hash)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	address := start(t, "sidecar", dir, nil, config).address()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	for _, c := range []struct {
		user, password string
		want           int
	}{
		{user: "", password: "", want: http.StatusUnauthorized},
		{user: "prometheus", password: "guess", want: http.StatusUnauthorized},
		{user: "prometheus", password: password, want: http.StatusOK},
	} {
		for _, path := range []string{"/metrics", "/"} {
			request, err := http.NewRequest(http.MethodGet, "https://"+address+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if c.user != "" {
				request.SetBasicAuth(c.user, c.password)
			}
			answer, err := client.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if answer.StatusCode != c.want {
				t.Errorf("%s as %q with %q: %s, want %d", path, c.user, c.password, answer.Status, c.want)
			}
		}
	}
	if answer, _, err := fetch(http.DefaultClient, "http://"+address+"/metrics"); err == nil && answer.StatusCode == http.StatusOK {
		t.Error("without TLS it answers too")
	}
}

// certificate makes one for this machine, and returns who trusts it.
func certificate(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sidecar"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	own, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(own)
	return pool
}

// A scraper gets the format that it asks for, compressed if it likes.
func TestSidecarNegotiates(t *testing.T) {
	dir := testdir.New(t)
	open(t, dir).NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "h"}).Inc()
	url := "http://" + start(t, "sidecar", dir, nil, "").address() + "/metrics"
	plain := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	for _, c := range []struct{ accept, kind, part string }{
		{accept: "", kind: "text/plain", part: "c_total 1\n"},
		{accept: "application/openmetrics-text;version=1.0.0", kind: "application/openmetrics-text", part: "# EOF"},
		{
			accept: "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
			kind:   "application/vnd.google.protobuf",
			part:   "c_total",
		},
	} {
		answer, body, err := fetch(plain, url, "Accept", c.accept, "Accept-Encoding", "gzip")
		if err != nil {
			t.Fatal(err)
		}
		if got := answer.Header.Get("Content-Encoding"); got != "gzip" {
			t.Errorf("%s: encoding %q", c.kind, got)
			continue
		}
		unpacked, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(unpacked)
		if err != nil || !strings.HasPrefix(answer.Header.Get("Content-Type"), c.kind) || !bytes.Contains(text, []byte(c.part)) {
			t.Errorf("%s: %v, %s\n%s", c.kind, err, answer.Header.Get("Content-Type"), text)
		}
	}
	answer, text, err := fetch(plain, url+"?name[]=mpmetrics_up")
	if err != nil || answer.StatusCode != http.StatusOK || bytes.Contains(text, []byte("c_total")) || !bytes.Contains(text, []byte("mpmetrics_up 1")) {
		t.Errorf("by name: %v\n%s", err, text)
	}
}
