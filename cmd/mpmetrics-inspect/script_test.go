//go:build unix

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/testing/redisserver"
	"github.com/mpmetrics/mpmetrics/store"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		program:  func() { os.Exit(command()) },
		"worker": worker,
	})
}

// TestScripts runs the scripts in testdata: one for each verb, over directories
// that real processes have made.
func TestScripts(t *testing.T) {
	server := redisserver.Start(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(env *testscript.Env) error {
			env.Setenv("REDIS", server.URL("namespace="+filepath.Base(env.WorkDir)))
			return setUp(env)
		},
		Condition: func(c string) (bool, error) {
			if c != "disk" {
				return false, fmt.Errorf("unknown condition %q", c)
			}
			return directory.OnDisk(os.TempDir()), nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"start":   startWorker,
			"tell":    tellWorker,
			"spin":    spinWorker,
			"rest":    restWorker,
			"sigkill": killWorker,
			"damage":  damageFile,
			"exits":   exits,
			"json":    checkJSON,
			"term":    startTerminal,
			"screen":  waitForScreen,
			"keys":    sendKeys,
			"resize":  resizeTerminal,
			"csv":     checkColumn,
			"sidecar": startSidecar,
			"fetch":   fetchPage,
			"ends":    endSidecar,
			"until":   until,
		},
	})
}

// process is a worker that a script has started.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader

	rest func() error // ends a spin; nil: there is none
}

type workersKey struct{}

// setUp gives a script a directory in memory: on a disk doctor would say so.
func setUp(env *testscript.Env) error {
	parent := "/dev/shm"
	if _, err := os.Stat(parent); err != nil {
		parent = env.WorkDir
	}
	dir, err := os.MkdirTemp(parent, "mpmetrics-test-")
	if err != nil {
		return err
	}
	workers := map[string]*process{}
	env.Values[workersKey{}] = workers
	env.Values[sidecarKey{}] = map[string]*served{}
	env.Setenv(store.EnvDir, dir)
	env.Setenv("TZ", "UTC")
	env.Setenv("GORACE", "atexit_sleep_ms=0")
	env.Defer(func() {
		for _, w := range workers {
			w.end()
		}
		_ = os.RemoveAll(dir)
	})
	return nil
}

func (w *process) end() {
	if w.rest != nil {
		_ = w.rest()
	}
	_ = w.cmd.Process.Kill()
	_ = w.cmd.Wait()
}

func workersOf(ts *testscript.TestScript) map[string]*process {
	return ts.Value(workersKey{}).(map[string]*process)
}

// startWorker starts a worker: start NAME UPDATE... Its pid is $NAME from then on,
// and its file $NAME_file.
func startWorker(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: start NAME UPDATE...")
	}
	path, err := exec.LookPath("worker")
	ts.Check(err)
	cmd := exec.Command(path, args[1:]...)
	cmd.Dir = ts.Getenv("WORK")
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "GORACE", "GOCOVERDIR", "WORKER_HELP", store.EnvProcess, store.EnvDir, store.EnvURL} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	cmd.Stderr = ts.Stderr()
	in, err := cmd.StdinPipe()
	ts.Check(err)
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	w := &process{cmd: cmd, in: in, out: bufio.NewReader(out)}
	workersOf(ts)[args[0]] = w
	w.wait(ts)
	pid := strconv.Itoa(cmd.Process.Pid)
	ts.Setenv(args[0], pid)
	if ts.Getenv(store.EnvURL) != "" {
		return
	}
	files, err := filepath.Glob(filepath.Join(ts.Getenv(store.EnvDir), "mpmetrics", pid+"-*.mpm"))
	ts.Check(err)
	if len(files) != 1 {
		ts.Fatalf("worker %s has %d files", args[0], len(files))
	}
	ts.Setenv(args[0]+"_file", filepath.Base(files[0]))
}

// wait waits until the worker has done what it was told.
func (w *process) wait(ts *testscript.TestScript) {
	line, err := w.out.ReadString('\n')
	if err != nil || line != "ok\n" {
		ts.Fatalf("worker says %q, %v", line, err)
	}
}

// tellWorker tells a worker to do more: tell NAME UPDATE...
func tellWorker(ts *testscript.TestScript, neg bool, args []string) {
	w := workersOf(ts)[args[0]]
	if neg || w == nil {
		ts.Fatalf("usage: tell NAME UPDATE...")
	}
	_, err := fmt.Fprintln(w.in, strings.Join(args[1:], "\x00"))
	ts.Check(err)
	w.wait(ts)
}

// killWorker kills workers by SIGKILL.
func killWorker(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args {
		w := workersOf(ts)[name]
		if neg || w == nil {
			ts.Fatalf("usage: sigkill NAME...")
		}
		w.end()
		delete(workersOf(ts), name)
	}
}

// damageFile damages a file in the directory: damage FILE truncate|junk|log|cash|metas.
func damageFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: damage FILE HOW")
	}
	path := filepath.Join(ts.Getenv(store.EnvDir), "mpmetrics", args[0])
	b, err := os.ReadFile(path)
	ts.Check(err)
	switch args[1] {
	case "truncate":
		b = b[:len(b)/2]
	case "junk":
		copy(b, strings.Repeat("\x1b[31mjunk", 2000))
	case "log":
		// A record in the middle of the series log.
		at := bytes.Index(b, []byte("orders_total"))
		b[at]++
	case "cash":
		// The record of one series.
		b[bytes.Index(b, []byte("cash"))]++
	case "metas":
		clear(b[:2*4096])
	default:
		ts.Fatalf("damage: %s", args[1])
	}
	ts.Check(os.Chmod(path, 0o600))
	ts.Check(os.WriteFile(path, b, 0o600))
}

// exits runs a command that has to exit with a status: exits STATUS COMMAND...
func exits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	if neg || err != nil {
		ts.Fatalf("usage: exits STATUS COMMAND...")
	}
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		failed, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = failed.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// until runs a command until its standard output matches, for what takes a while: until PATTERN COMMAND...
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until PATTERN COMMAND...")
	}
	pattern := regexp.MustCompile("(?m)" + args[0])
	for limit := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		_ = ts.Exec(args[1], args[2:]...) // what it says decides
		if pattern.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Now().After(limit) {
			ts.Fatalf("no match for %q", args[0])
		}
	}
}

// checkJSON looks at a field of the JSON on standard output: json PATH WANT. A path
// has names and indices with dots between; len is a length.
func checkJSON(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: json PATH WANT")
	}
	var v any
	d := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
	d.UseNumber()
	ts.Check(d.Decode(&v))
	for _, step := range strings.Split(args[0], ".") {
		switch x := v.(type) {
		case map[string]any:
			field, ok := x[step]
			if !ok {
				ts.Fatalf("%s: no field %q", args[0], step)
			}
			v = field
		case []any:
			if step == "len" {
				v = len(x)
				continue
			}
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(x) {
				ts.Fatalf("%s: no element %q of %d", args[0], step, len(x))
			}
			v = x[i]
		default:
			ts.Fatalf("%s: nothing below %v", args[0], v)
		}
	}
	if got := fmt.Sprint(v); (got == args[1]) == neg {
		ts.Fatalf("%s is %s, want %s", args[0], got, args[1])
	}
}

// checkColumn looks at a column of the comma-separated values on standard output:
// csv COLUMN WANT...
func checkColumn(ts *testscript.TestScript, neg bool, args []string) {
	lines := strings.Split(strings.TrimSuffix(ts.ReadFile("stdout"), "\n"), "\n")
	at := slices.Index(strings.Split(lines[0], ","), args[0])
	if neg || at < 0 {
		ts.Fatalf("no column %s in %s", args[0], lines[0])
	}
	var got []string
	for _, line := range lines[1:] {
		got = append(got, strings.Split(line, ",")[at])
	}
	if !slices.Equal(got, args[1:]) {
		ts.Fatalf("%s: %q, want %q", args[0], got, args[1:])
	}
}

// spinWorker lets a worker make updates again and again until rest: spin NAME UPDATE...
func spinWorker(ts *testscript.TestScript, neg bool, args []string) {
	w := workersOf(ts)[args[0]]
	if neg || w == nil || w.rest != nil {
		ts.Fatalf("usage: spin NAME UPDATE...")
	}
	rest, rested := make(chan struct{}), make(chan error)
	go func() {
		var err error
		for done := false; err == nil && !done; {
			if _, err = fmt.Fprintln(w.in, strings.Join(args[1:], "\x00")); err == nil {
				_, err = w.out.ReadString('\n')
			}
			select {
			case <-rest:
				done = true
			case <-time.After(time.Millisecond):
			}
		}
		rested <- err
	}()
	w.rest = func() error {
		close(rest)
		return <-rested
	}
}

// restWorker ends that: rest NAME.
func restWorker(ts *testscript.TestScript, neg bool, args []string) {
	w := workersOf(ts)[args[0]]
	if neg || w == nil || w.rest == nil {
		ts.Fatalf("usage: rest NAME")
	}
	ts.Check(w.rest())
	w.rest = nil
}
