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

	"github.com/mpmetrics/mpmetrics/internal/testing/reexec"
	"github.com/mpmetrics/mpmetrics/store"
)

func TestMain(m *testing.M) {
	reexec.Programs{"work": work}.Main()
	os.Exit(m.Run())
}

// hostile is a label value that sets a variable if a browser takes it for a part of the page.
const hostile = `"'><script>window.ran = alert(1)</script><img src=x onerror="window.ran = 1">`

// work defines its families, and counts a little until its input ends. Each line makes one more series.
func work([]string) error {
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
				return nil
			}
			n++
			v.WithLabelValues(fmt.Sprint(n)).Inc()
		case <-time.After(100 * time.Millisecond):
			v.WithLabelValues(hostile).Inc()
		}
	}
}

// startWorkers starts processes that count.
func startWorkers(t *testing.T, dir string, n int) []*reexec.Process {
	t.Helper()
	workers := make([]*reexec.Process, n)
	for i := range workers {
		cmd := reexec.Command("work")
		cmd.Env = append(cmd.Env, store.EnvDir+"="+dir, "GOMAXPROCS=1")
		workers[i] = reexec.Run(t, cmd)
	}
	for _, w := range workers {
		w.Line() // it counts
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
	sidecar := reexec.RunLog(t, cmd)
	for {
		if _, rest, found := strings.Cut(sidecar.Line(), `msg="Listening on" address=`); found {
			go func() { _, _ = io.Copy(io.Discard, sidecar.Output()) }() // or the pipe fills up
			return "http://" + strings.Fields(rest)[0]
		}
	}
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
