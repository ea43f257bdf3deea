//go:build unix

package browser

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/store"
)

// workerEnv makes the test binary a process that counts.
const workerEnv = "MPMETRICS_TEST_WORKER"

func TestMain(m *testing.M) {
	if os.Getenv(workerEnv) != "" {
		work()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// hostile is a label value that sets a variable if a browser takes it for a part of the page.
const hostile = `"'><script>window.ran = alert(1)</script><img src=x onerror="window.ran = 1">`

// work defines its families, and counts a little until its input ends. Each line makes one more series.
func work() {
	for i := range families {
		store.NewCounterVec(prometheus.CounterOpts{Name: fmt.Sprintf("family_%03d_total", i), Help: hostile}, []string{"l"}).WithLabelValues(hostile).Inc()
	}
	v := store.NewCounterVec(prometheus.CounterOpts{Name: "hostile_total", Help: hostile}, []string{"l"})
	v.WithLabelValues(hostile).Inc()
	fmt.Println("ready")
	lines := make(chan string)
	go func() {
		defer close(lines)
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			lines <- in.Text()
		}
	}()
	for n := 0; ; {
		select {
		case _, more := <-lines:
			if !more {
				return
			}
			n++
			v.WithLabelValues(fmt.Sprint(n)).Inc()
		case <-time.After(100 * time.Millisecond):
			v.WithLabelValues(hostile).Inc()
		}
	}
}

// process is one that the test has started.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
}

func (p *process) tell(t *testing.T, line string) {
	t.Helper()
	if _, err := fmt.Fprintln(p.in, line); err != nil {
		t.Fatal(err)
	}
}

func (p *process) kill() {
	if p.cmd.ProcessState == nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait() // which says that it was killed
	}
}

// startWorkers starts processes that count.
func startWorkers(t *testing.T, dir string, n int) []*process {
	t.Helper()
	workers, ready := make([]*process, n), make([]*bufio.Reader, n)
	for i := range workers {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), workerEnv+"=1", store.EnvDir+"="+dir, "GORACE=atexit_sleep_ms=0", "GOMAXPROCS=1")
		cmd.Stderr = os.Stderr
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		workers[i], ready[i] = &process{cmd, in}, bufio.NewReader(out)
		t.Cleanup(workers[i].kill)
	}
	for _, r := range ready {
		if _, err := r.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	return workers
}

// startSidecar builds and starts the command, and returns its address.
func startSidecar(t *testing.T, dir string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "mpmetrics-inspect")
	build := exec.Command("go", "build", "-o", binary, ".")
	build.Dir = ".." // another module
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command(binary, "serve", "--dir", dir, "--web.listen-address", "127.0.0.1:0", "--web.interval", "500ms")
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup((&process{cmd: cmd}).kill)
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		if _, rest, found := strings.Cut(lines.Text(), `msg="Listening on" address=`); found {
			go func() {
				for lines.Scan() { // or the pipe fills up
				}
			}()
			return "http://" + strings.Fields(rest)[0]
		}
	}
	t.Fatal("the sidecar does not say where it listens")
	return ""
}

func findChromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("no browser: run `make deps`, or apt-get install --no-install-recommends chromium")
	return ""
}
