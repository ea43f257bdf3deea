//go:build unix

package soak

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/testing/effort"
	"github.com/mpmetrics/mpmetrics/internal/testing/promtest"
	"github.com/mpmetrics/mpmetrics/internal/testing/reexec"
	"github.com/mpmetrics/mpmetrics/internal/testing/testdir"
)

func TestMain(m *testing.M) {
	programs.Main()
	os.Exit(m.Run())
}

// world is one directory with everything that happens in it.
type world struct {
	*testing.T
	dir       string
	boardFile string
	board     *board
	blind     blindness
	clock     *clock
	seed      uint64
	stop      chan struct{}

	mu      sync.Mutex
	serving []*victim // workers that can be scraped

	sidecarServing atomic.Pointer[victim] // nil while there is none

	kills, ends, stops, bursts, removedLocks, jumps atomic.Int64
}

// victim is a child that is stopped and killed.
type victim struct {
	*reexec.Process
	address   string
	disturbed atomic.Bool // about to end
}

// All kinds of metrics in two versions, jobs, deletions, kills, stops, absorbers, sidecars, files and
// locks that are removed, clocks that jump: each value of each scrape lies between what was certain before the scrape and
// what was begun after it, no total falls, and each histogram is of one instant.
func TestAllTogether(t *testing.T) {
	length := time.Minute
	if testing.Short() {
		length = 10 * time.Second
	}
	if deadline, ok := t.Deadline(); ok && effort.Soak() {
		length = max(length, min(2*time.Hour, time.Until(deadline)*9/10))
	}
	w := newWorld(t)
	var scraping, happening sync.WaitGroup
	over := make(chan struct{})
	sources := w.sources()
	witness := &witness{t: t, board: w.board, blind: &w.blind}
	for _, s := range sources {
		scraping.Go(func() {
			for !t.Failed() {
				select {
				case <-over:
					return
				case <-time.After(s.pause):
					witness.scrape(s, false)
				}
			}
		})
	}
	for n, happens := range []func(*rand.Rand){
		w.worker, w.worker, w.worker, w.worker, w.job, w.job, w.burst,
		w.absorber, w.absorber, w.sidecar, w.fileRemover, w.lockRemover, w.clockSetter,
	} {
		happening.Go(func() {
			r := rand.New(rand.NewPCG(w.seed, uint64(n)))
			for w.goes() {
				happens(r)
			}
		})
	}
	select {
	case <-time.After(length):
	case <-w.failed():
	}
	close(w.stop)
	happening.Wait()
	close(over)
	scraping.Wait()

	// A last worker has all series, so that all are shown.
	before := read(w.board.certain)
	last := w.start(rand.New(rand.NewPCG(w.seed, 0)), "100")
	promtest.Eventually(t, "the last worker has counted in each series", func() bool {
		now := read(w.board.certain)
		for f := churned; f < facts; f++ {
			if now[f] == before[f] {
				return false
			}
		}
		return true
	})
	outside := w.outside()
	witness.scrape(outside, true)
	w.end(last)
	witness.scrape(outside, false)
	_, removals := w.blind.look()
	t.Logf("seed %d: %d kills, %d ends, %d stops, %d bursts, %d files and %d locks removed, the clock set %d times in %v", w.seed, w.kills.Load(), w.ends.Load(),
		w.stops.Load(), w.bursts.Load(), removals, w.removedLocks.Load(), w.jumps.Load(), length)
	for _, s := range sources {
		t.Logf("%s: %d scrapes", s.name, s.scrapes)
		if s.scrapes == 0 {
			t.Errorf("%s was never scraped", s.name)
		}
	}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := testdir.New(t)
	w := &world{T: t, dir: dir, boardFile: filepath.Join(t.TempDir(), "board"), seed: rand.Uint64(), stop: make(chan struct{})}
	w.clock = newClock(t)
	t.Cleanup(func() {
		if t.Failed() {
			w.logPutAside()
		}
	})
	var err error
	if w.board, err = openBoard(w.boardFile); err != nil {
		t.Fatal(err)
	}
	return w
}

// logPutAside says which files were put aside, and why.
func (w *world) logPutAside() {
	reasons, err := filepath.Glob(filepath.Join(w.dir, layout.Subdirectory, layout.QuarantineName, "*.txt"))
	if err != nil {
		w.Error(err)
	}
	for _, name := range reasons {
		text, err := os.ReadFile(name)
		w.Logf("%s was put aside: %s, %v", filepath.Base(name), text, err)
	}
}

// goes reports whether the world goes on.
func (w *world) goes() bool {
	select {
	case <-w.stop:
		return false
	default:
		return !w.Failed()
	}
}

// failed is closed soon after the test has failed.
func (w *world) failed() <-chan struct{} {
	failed := make(chan struct{})
	go func() {
		for w.goes() {
			time.Sleep(100 * time.Millisecond)
		}
		close(failed)
	}()
	return failed
}

// sleep sleeps for up to d, or until the world ends.
func (w *world) sleep(r *rand.Rand, d time.Duration) {
	select {
	case <-time.After(time.Duration(r.Int64N(int64(d)))):
	case <-w.stop:
	}
}

// run runs a program, half of the programs with a clock that jumps, without the race detector.
func (w *world) run(r *rand.Rand, program string, args ...string) *reexec.Process {
	args = append([]string{w.dir, w.boardFile}, args...)
	if r.IntN(2) == 0 {
		return reexec.Start(w.T, program, args...)
	}
	return reexec.Run(w.T, reexec.As(program, w.clock.command(w.clock.programs, args...)))
}

// start starts a worker that does so many rounds, and returns when the worker serves.
func (w *world) start(r *rand.Rand, rounds string) *victim {
	v := &victim{Process: w.run(r, "work", []string{"1", "2"}[r.IntN(2)], rounds)}
	v.address = v.Line()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.serving = append(w.serving, v)
	return v
}

// leave notes that a worker is about to end.
func (w *world) leave(v *victim) {
	v.disturbed.Store(true)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.serving = slices.DeleteFunc(w.serving, func(s *victim) bool { return s == v })
	w.board.begun[ended].Add(1)
}

// end lets a worker close its store.
func (w *world) end(v *victim) {
	w.leave(v)
	v.CloseInput()
	if out, err := v.Wait(); err != nil {
		w.Errorf("a worker: %v\n%s", err, out)
	}
	w.board.certain[ended].Add(1)
	w.ends.Add(1)
}

// kill kills a worker.
func (w *world) kill(v *victim) {
	w.leave(v)
	v.Kill()
	w.board.certain[ended].Add(1)
	w.kills.Add(1)
}

// pause stops a process for a moment.
func (w *world) pause(r *rand.Rand, p *reexec.Process) {
	p.Signal(syscall.SIGSTOP)
	w.sleep(r, 400*time.Millisecond)
	p.Signal(syscall.SIGCONT)
	w.stops.Add(1)
}

// worker is the life of a worker.
func (w *world) worker(r *rand.Rand) {
	v := w.start(r, "0")
	for w.goes() && r.IntN(4) > 0 {
		w.sleep(r, time.Second)
		w.pause(r, v.Process)
	}
	w.sleep(r, time.Second)
	if r.IntN(3) == 0 {
		w.end(v)
	} else {
		w.kill(v)
	}
}

// job is the life of a process that counts a few times.
func (w *world) job(r *rand.Rand) {
	v := w.start(r, "5")
	w.sleep(r, 100*time.Millisecond)
	if r.IntN(2) == 0 {
		w.end(v)
	} else {
		w.kill(v)
	}
	w.sleep(r, 300*time.Millisecond)
}

// burst is a process that is killed while it makes its file and its first series, or soon afterwards.
func (w *world) burst(r *rand.Rand) {
	p := w.run(r, "burst")
	w.sleep(r, 200*time.Millisecond)
	p.Kill()
	w.bursts.Add(1)
	w.sleep(r, 500*time.Millisecond)
}

// absorber is the life of a process that absorbs the dead.
func (w *world) absorber(r *rand.Rand) {
	p := w.run(r, "absorb")
	for range r.IntN(3) {
		w.sleep(r, time.Second)
		w.pause(r, p)
	}
	w.sleep(r, time.Second)
	p.Kill()
	w.kills.Add(1)
}

// fileRemover removes the file of a worker. The worker is left alone until its counts are in another file.
func (w *world) fileRemover(r *rand.Rand) {
	v := w.start(r, "0")
	w.sleep(r, 10*time.Second)
	pattern := filepath.Join(w.dir, layout.Subdirectory, fmt.Sprintf("%d-*%s", v.Cmd.Process.Pid, layout.Extension))
	files := func() []string {
		found, err := filepath.Glob(pattern)
		if err != nil {
			w.Error(err)
		}
		return found
	}
	if w.goes() {
		w.blind.begin()
		former := files()
		for _, name := range former {
			if err := os.Remove(name); err != nil {
				w.Error(err)
			}
		}
		if len(former) != 1 {
			w.Errorf("a worker has the files %v", former)
		}
		for begin := time.Now(); len(files()) == 0; time.Sleep(10 * time.Millisecond) {
			if time.Since(begin) > time.Minute {
				w.Error("a worker has made no other file in a minute")
				break
			}
		}
		w.blind.end()
		w.sleep(r, 10*time.Second)
	}
	w.kill(v)
}

// lockRemover removes the lock of absorptions.
func (w *world) lockRemover(r *rand.Rand) {
	w.sleep(r, 2*time.Second)
	err := os.Remove(filepath.Join(w.dir, layout.Subdirectory, layout.LockName))
	if err == nil {
		w.removedLocks.Add(1)
	} else if !errors.Is(err, fs.ErrNotExist) {
		w.Error(err)
	}
}

// clockSetter sets the clock ahead for a moment: by two hours to a year.
func (w *world) clockSetter(r *rand.Rand) {
	w.sleep(r, 4*time.Second)
	w.clock.ahead(w.T, byte(1+r.IntN(13)))
	w.sleep(r, 2*time.Second)
	w.clock.ahead(w.T, 0)
	w.jumps.Add(1)
}

// sidecar is the life of a sidecar, which is stopped and killed.
func (w *world) sidecar(r *rand.Rand) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.Error(err)
		return
	}
	address := l.Addr().String()
	l.Close()
	cmd := w.clock.command(w.clock.inspect, "serve", "--dir", w.dir, "--web.listen-address", address, "--log.level", "error")
	v := &victim{Process: reexec.Run(w.T, cmd), address: address}
	for ready := false; !ready && w.goes(); time.Sleep(10 * time.Millisecond) {
		answer, err := http.Get("http://" + address + "/-/ready")
		if ready = err == nil && answer.StatusCode == http.StatusOK; err == nil {
			answer.Body.Close()
		}
	}
	w.sidecarServing.Store(v)
	for range r.IntN(4) {
		w.sleep(r, 2*time.Second)
		w.pause(r, v.Process)
	}
	w.sleep(r, 2*time.Second)
	w.sidecarServing.Store(nil)
	v.disturbed.Store(true)
	v.Kill()
	w.kills.Add(1)
}

// sources are all who are scraped.
func (w *world) sources() []*source {
	aWorker := func(n int) func() ([]*dto.MetricFamily, error) {
		return func() ([]*dto.MetricFamily, error) {
			w.mu.Lock()
			var v *victim
			if len(w.serving) > 0 {
				v = w.serving[n%len(w.serving)]
			}
			w.mu.Unlock()
			return scrape(v)
		}
	}
	return []*source{
		w.outside(),
		{name: "sidecar", pause: 50 * time.Millisecond, gather: func() ([]*dto.MetricFamily, error) { return scrape(w.sidecarServing.Load()) }},
		{name: "oldest worker", pause: 50 * time.Millisecond, gather: aWorker(0)},
		{name: "second worker", pause: 50 * time.Millisecond, gather: aWorker(1)},
		{name: "dump", pause: time.Second, gather: w.dump},
	}
}

// outside is a collector in this process.
func (w *world) outside() *source {
	c := collector.New(collector.Opts{Location: w.dir, NoAbsorption: true, Logger: silent})
	w.Cleanup(func() { _ = c.Close() })
	registry := prometheus.NewRegistry()
	registry.MustRegister(c)
	return &source{name: "outside collector", pause: 20 * time.Millisecond, gather: registry.Gather}
}

// dump reads the directory by the command.
func (w *world) dump() ([]*dto.MetricFamily, error) {
	var stderr bytes.Buffer
	cmd := w.clock.command(w.clock.inspect, "dump", "--dir", w.dir)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	const incomplete = 3 // the versions do not agree about all families
	if err != nil && cmd.ProcessState.ExitCode() != incomplete {
		return nil, fmt.Errorf("%w\n%s", err, stderr.Bytes())
	}
	return parse(out)
}

// scrape scrapes a process, which may end meanwhile.
func scrape(v *victim) ([]*dto.MetricFamily, error) {
	if v == nil {
		return nil, errDisturbed
	}
	text, err := promtest.Get("http://" + v.address + "/metrics")
	if err != nil {
		if v.disturbed.Load() {
			return nil, errDisturbed
		}
		return nil, err
	}
	return parse([]byte(text))
}

// parse reads the text format.
func parse(text []byte) (all []*dto.MetricFamily, err error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	for _, f := range families {
		all = append(all, f)
	}
	return all, err
}
