package trial

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/testing/effort"
	"github.com/mpmetrics/mpmetrics/store"
)

func init() { programs["endure"] = endure }

const (
	enduredSeries = 200 // of each goroutine; together they do not fit into the first slabs
	enduredRounds = 5   // of counting in each of them

	// enduredWait is longer than a store waits before it tries again to make its
	// file, which it does each ten seconds.
	enduredWait = 25 * time.Second
)

// endure counts in the default store, whose directory is in the environment, and
// says on standard output how far it is. It waits for a line on standard input
// twice: before it counts, and after it has, until the faults are over. args is
// "early" if the first of these is to come before the store is opened, "slowly" if
// counting is to take two seconds.
func endure(args []string) error {
	in := bufio.NewReader(os.Stdin)
	wait := func(say string) error {
		fmt.Println(say)
		_, err := in.ReadString('\n')
		return err
	}
	early, slowly := slices.Contains(args, "early"), slices.Contains(args, "slowly")
	if early {
		if err := wait("opens " + strconv.Itoa(os.Getpid())); err != nil {
			return err
		}
	}
	mark()
	s := store.Default()
	mark()
	first := s.Degraded()
	rounds := s.NewCounter(prometheus.CounterOpts{Name: "rounds_total", Help: "Rounds."})
	made := s.NewCounterVec(prometheus.CounterOpts{Name: "made_total", Help: "Series."}, []string{"n"})
	if !early {
		if err := wait("opened " + strconv.Itoa(os.Getpid())); err != nil {
			return err
		}
	}
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for n := range enduredSeries {
				c := made.WithLabelValues(strconv.Itoa(g*enduredSeries + n))
				for range enduredRounds {
					c.Inc()
					rounds.Inc()
					if slowly {
						time.Sleep(2 * time.Millisecond)
					}
				}
			}
		})
	}
	wg.Wait()
	if err := wait("counted"); err != nil {
		return err
	}
	for limit := time.Now().Add(enduredWait); s.Degraded() != nil; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(limit) {
			return wait(fmt.Sprintf("stays degraded: %v", s.Degraded()))
		}
	}
	return wait(fmt.Sprintf("settled %v", first))
}

// fault is a run of endure with faults.
type fault struct {
	errno string
	calls []string // injections, without the error
	phase phase
	all   time.Duration // of all threads, for so long after counting; 0: of the main thread
}

// phase is what a process does when calls fail.
type phase string

const (
	opening  phase = "opening"
	growing  phase = "growing"
	renewing phase = "renewing" // somebody has removed its file
)

func (f fault) String() string {
	when := string(f.phase)
	if f.all > 0 {
		when += " for " + f.all.String()
	}
	return fmt.Sprintf("%s: %s of %s", when, f.errno, strings.Join(f.calls, " and "))
}

// injections are arguments of strace.
func (f fault) injections() (args []string) {
	for _, c := range f.calls {
		name, when, found := strings.Cut(c, ":")
		arg := "inject=" + name + ":error=" + f.errno
		if found {
			arg += ":when=" + when
		}
		args = append(args, "-e", arg)
	}
	return args
}

// System calls fail, one or many, while the file is made, while it grows, and
// while it is made anew because somebody removed it.
// No process ends for it, nothing that was counted is lost, and what went wrong
// is said.
func TestSystemCallFaults(t *testing.T) {
	binary := needStrace(t)
	faults := append(whileGrowing(), whileRenewing()...)
	for round := 0; round == 0 || effort.Soak() && len(faults) < 2000; round++ {
		faults = append(faults, whileOpening(t, binary)...)
	}
	// Those that last begin first.
	slices.SortStableFunc(faults, func(a, b fault) int { return cmp.Compare(b.all, a.all) })
	const (
		busy  = 2
		alive = 160 // most of them wait for the next try, ten seconds
	)
	core, place := make(chan struct{}, busy), make(chan struct{}, alive)
	o := &outcome{}
	var wg sync.WaitGroup
	begin := time.Now()
	for _, f := range faults {
		place <- struct{}{}
		wg.Go(func() {
			defer func() { <-place }()
			o.run(t, binary, f, core)
		})
	}
	wg.Wait()
	runs := int64(len(faults))
	if o.missed.Load()*10 > runs {
		t.Errorf("%d of %d runs hit something else", o.missed.Load(), runs)
	}
	t.Logf("%d runs in %v: %d faults hit the directory in %d of them, %d runs said so, %d did not notice (%v), %d hit something else; "+
		"in %d runs each of %d updates was there in the end", runs, time.Since(begin).Round(time.Second), o.faults.Load(), o.hit.Load(), o.said.Load(), o.quiet.Load(),
		o.quietly(), o.missed.Load(), o.survived.Load(), goroutines*enduredSeries*enduredRounds*2)
}

// whileOpening are the faults at each call of making a file, the lasting ones, and
// some that hit what cleans up.
func whileOpening(t *testing.T, binary string) (faults []fault) {
	dir, log := filepath.Join(memoryDir(t), "first"), straceLog(t)
	cmd := exec.Command("strace", "-y", "-o", log, binary)
	cmd.Env = append(os.Environ(), store.EnvDir+"="+dir)
	cmd.Stdin = strings.NewReader("\n\n\n")
	launch(t, cmd, "endure").ended(t)
	for _, c := range callsBetweenMarks(t, log, dir) {
		var errnos []string
		switch c.name {
		case "pwrite64":
			errnos = []string{"ENOSPC", "EIO", "EINTR", "ENOMEM", "EDQUOT", "EROFS"}
		case "openat":
			errnos = []string{"ENOSPC", "EIO", "EINTR", "ENOMEM", "EDQUOT", "EMFILE", "ENFILE", "EROFS"}
		case "mkdirat", "mmap", "flock", "renameat", "fstat", "fdatasync", "fchmod", "fchmodat", "newfstatat":
			errnos = []string{"ENOSPC", "EIO", "EINTR", "ENOMEM", "EDQUOT"}
		}
		for _, errno := range errnos {
			faults = append(faults, fault{errno: errno, calls: []string{fmt.Sprintf("%s:%d", c.name, c.n)}, phase: opening})
		}
		if c.name == "pwrite64" || c.name == "fstat" {
			for _, errno := range []string{"ENOSPC", "EIO"} {
				faults = append(faults, fault{errno: errno, calls: []string{fmt.Sprintf("%s:%d..%d", c.name, c.n, c.n+2)}, phase: opening})
			}
		}
	}
	for _, errno := range []string{"EIO", "ENOSPC"} {
		faults = append(faults, fault{errno: errno, calls: []string{"renameat:1", "unlinkat"}, phase: opening})
		for _, name := range []string{"mkdirat", "flock", "pwrite64", "renameat", "fchmod", "fdatasync", "getdents64"} {
			faults = append(faults, fault{errno: errno, calls: []string{name}, phase: opening, all: 12 * time.Second})
		}
	}
	return faults
}

// whileGrowing are the faults of the calls that make room, on each thread that makes
// some: once, the first ones, or all for some seconds.
func whileGrowing() (faults []fault) {
	for _, errno := range []string{"ENOSPC", "EIO", "EINTR", "ENOMEM", "EDQUOT", "EROFS"} {
		for _, when := range []string{"1", "2", "3", "4", "5", "6", "7", "1..3", "2..4", "1+2", "1+3", "2+3"} {
			faults = append(faults, fault{errno: errno, calls: []string{"pwrite64:" + when}, phase: growing, all: 300 * time.Millisecond})
		}
		if errno == "EROFS" {
			continue
		}
		for _, name := range []string{"mmap", "fstat"} {
			for _, when := range []string{"1", "2", "1..2", "1+2"} {
				faults = append(faults, fault{errno: errno, calls: []string{name + ":" + when}, phase: growing, all: 300 * time.Millisecond})
			}
		}
		if errno != "EINTR" { // for ever: it is to be tried again at once
			faults = append(faults, fault{errno: errno, calls: []string{"pwrite64", "mmap"}, phase: growing, all: 3 * time.Second})
		}
	}
	return faults
}

// whileRenewing are the faults of the calls that make a new file in the place of
// one that was removed: once or at every other try, and all for some seconds.
func whileRenewing() (faults []fault) {
	names := []string{"openat", "flock", "pwrite64", "mmap", "renameat", "fstat", "newfstatat"}
	errnos := []string{"ENOSPC", "EIO", "EINTR", "ENOMEM"}
	if effort.Soak() {
		names, errnos = append(names, "fchmod", "fdatasync"), append(errnos, "EDQUOT", "EROFS", "EACCES")
	}
	for _, name := range names {
		for _, errno := range errnos {
			whens := []string{":1", ":2"}
			if errno != "EINTR" {
				whens = append(whens, "")
			}
			for _, when := range whens {
				faults = append(faults, fault{errno: errno, calls: []string{name + when}, phase: renewing, all: time.Second})
			}
		}
	}
	return faults
}

// lockedBuffer is what a child that still runs writes.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// outcome is what came of the runs.
type outcome struct {
	faults, hit, said, quiet, missed, survived atomic.Int64

	mu      sync.Mutex
	byQuiet map[string]int
}

func (o *outcome) run(t *testing.T, binary string, f fault, core chan struct{}) {
	core <- struct{}{}
	parent := memoryDir(t)
	defer os.RemoveAll(parent)
	dir, log := filepath.Join(parent, "m"), filepath.Join(parent, "strace")
	args := []string{binary}
	word := "opened"
	switch {
	case f.all > 0 && f.phase == opening:
		args = append(args, "early")
		word = "opens"
	case f.phase == renewing:
		args = append(args, "slowly")
	}
	if f.all == 0 {
		// The main thread alone.
		args = append(append([]string{"strace", "-y", "-o", log, "-e", "trace=" + f.names()}, f.injections()...), args...)
	}
	var stderr lockedBuffer
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), store.EnvDir+"="+dir)
	cmd.Stderr = &stderr
	c := launch(t, cmd, "endure")
	defer c.CloseInput() // the child ends
	said := func(word string) (rest string, ok bool) {
		line, err := c.Output().ReadString('\n')
		rest, ok = strings.CutPrefix(strings.TrimSpace(line), word)
		if !ok && !o.strayed(t, f, dir, log) {
			text := stderr.String()
			t.Errorf("%v: want %q, got %q, %v\n%s", f, word, line, err, text[:min(len(text), 2000)])
		}
		return strings.TrimSpace(rest), ok
	}
	goOn := func() { fmt.Fprintln(c.Input()) }

	rest, ok := said(word)
	if !ok {
		<-core
		return
	}
	pid, _ := strconv.Atoi(rest)
	detach := func() {}
	if f.all > 0 {
		tampering := append([]string{"-o", log, "-e", "trace=" + f.names()}, f.injections()...)
		file := ""
		if f.phase != opening {
			names := processFiles(t, dir)
			if len(names) != 1 {
				t.Errorf("%v: files %v", f, names)
				<-core
				return
			}
			file = filepath.Join(dir, layout.Subdirectory, names[0])
			tampering = append(tampering, "-P", file, "-P", file+layout.TemporaryExtension)
		}
		detach = attach(t, pid, tampering...)
		if f.phase == renewing {
			if err := os.Remove(file); err != nil {
				t.Error(err)
			}
		}
	}
	goOn()
	if f.phase == renewing {
		<-core // it sleeps most of the time
	}
	_, ok = said("counted")
	if f.phase != renewing {
		<-core
	}
	if !ok {
		return
	}
	time.Sleep(f.all)
	detach()
	goOn()
	first, ok := said("settled")
	if !ok {
		return
	}
	o.exact(t, f, dir)
	if p, err := os.FindProcess(pid); err == nil {
		_ = p.Kill() // strace follows
	}
	c.ended(t)
	o.exact(t, f, dir)
	o.survived.Add(1)
	o.judge(t, f, dir, log, stderr.String(), first)
}

// strayed reports whether a run hit a mapping of the Go runtime, which does not
// stand for that. Which mapping is the nth differs a little from run to run.
func (o *outcome) strayed(t *testing.T, f fault, dir, log string) bool {
	if f.all > 0 {
		return false // only our file is tampered with
	}
	hits, misses := injected(t, log, dir)
	if len(hits) > 0 || len(misses) == 0 {
		return false
	}
	o.missed.Add(1)
	return true
}

// exact waits until everything is in the files.
func (o *outcome) exact(t *testing.T, f fault, dir string) {
	c := collector.New(collector.Opts{Location: dir, NoAbsorption: true, Logger: silent})
	defer c.Close()
	var wrong string
	for limit := time.Now().Add(15 * time.Second); time.Now().Before(limit); time.Sleep(200 * time.Millisecond) {
		if wrong = f.wrong(see(t, c)); wrong == "" {
			return
		}
	}
	t.Errorf("%v: after the faults: %s", f, wrong)
}

// wrong says what is missing.
func (f fault) wrong(s sight) string {
	if !s.up || s.readErrors > 0 {
		return fmt.Sprintf("up %v, %v read errors", s.up, s.readErrors)
	}
	if n := s.samples["rounds_total"]; n != goroutines*enduredSeries*enduredRounds {
		return fmt.Sprintf("%v rounds", n)
	}
	for n := range goroutines * enduredSeries {
		if v := s.samples["made_total "+strconv.Itoa(n)]; v != enduredRounds {
			return fmt.Sprintf("series %d has %v", n, v)
		}
	}
	return ""
}

// judge looks whether a fault that hit was said, or else did nothing.
func (o *outcome) judge(t *testing.T, f fault, dir, log, stderr, first string) {
	hits, misses := injected(t, log, dir)
	o.faults.Add(int64(len(hits)))
	said := strings.Contains(stderr, "mpmetrics: counting in memory") || strings.Contains(stderr, "mpmetrics: new series are counted in memory") ||
		strings.Contains(stderr, "mpmetrics: all counts are in a new file")
	switch {
	case strings.Contains(stderr, "panic") || strings.Contains(stderr, "fatal error"):
		t.Errorf("%v: %s", f, stderr)
	case len(hits) == 0:
		o.missed.Add(1)
		if len(misses) == 0 {
			o.note(f, "nothing hit")
		}
	case said:
		o.hit.Add(1)
		o.said.Add(1)
	default:
		o.hit.Add(1)
		o.quiet.Add(1)
		o.note(f, "")
		if !f.harmless() {
			t.Errorf("%v: %d calls failed, and nothing is said", f, len(hits))
		}
		if first != "<nil>" {
			t.Errorf("%v: degraded by %q, and nothing is said", f, first)
		}
	}
}

// harmless reports whether nothing needs to be said: what a signal interrupted is
// done again, and what was asked for without need is done without.
func (f fault) harmless() bool {
	return f.errno == "EINTR" || f.names() == "newfstatat" || f.names() == "getdents64"
}

func (f fault) names() string {
	var names []string
	for _, c := range f.calls {
		name, _, _ := strings.Cut(c, ":")
		names = append(names, name)
	}
	return strings.Join(names, ",")
}

// note counts what nobody noticed by call and error.
func (o *outcome) note(f fault, what string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.byQuiet == nil {
		o.byQuiet = map[string]int{}
	}
	o.byQuiet[strings.TrimSpace(f.names()+" "+f.errno+" "+what)]++
}

func (o *outcome) quietly() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var all []string
	for what, n := range o.byQuiet {
		all = append(all, fmt.Sprintf("%s ×%d", what, n))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}
