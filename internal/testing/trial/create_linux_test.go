package trial

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/reader"
	"github.com/mpmetrics/mpmetrics/internal/testing/effort"
	"github.com/mpmetrics/mpmetrics/store"
)

func init() { programs["create"] = create }

// create makes the file of a process, between two marks. args is the directory.
func create(args []string) error {
	mark()
	_, err := store.Open(store.Opts{Location: args[0], NoAbsorption: true, Logger: silent})
	mark()
	return err
}

// A process is killed at each system call of making its file. Nobody ever
// sees half of a file, and what is left under a temporary name goes.
func TestSIGKILLAtEachStepOfCreation(t *testing.T) {
	binary := needStrace(t)
	rounds := 5
	if effort.Soak() {
		rounds = 1000
	}
	var k kills
	var steps []call
	for round := range rounds {
		steps = stepsOfCreation(t, binary)
		for _, step := range steps {
			k.kill(t, binary, step)
			if t.Failed() {
				t.Fatalf("round %d", round)
			}
		}
	}
	// Where a call of the runtime comes in between, it is another step that is hit.
	if wrong := k.missed + k.survived; wrong*20 > k.all {
		t.Errorf("%d of %d kills hit something else", wrong, k.all)
	}
	t.Logf("%d kills at %d steps each round, in the last one %v; %d hit something else, %d nothing; %d temporary files were left and removed, %d complete ones counted; "+
		"%d looks meanwhile, which saw %d published files", k.all, len(steps), steps, k.missed, k.survived, k.temporary, k.published, k.looks, k.seen)
}

// stepsOfCreation are the system calls of making a file, as one run counts
// them. The Go runtime makes more calls of some names in one run than in the
// next, so each round counts anew.
func stepsOfCreation(t *testing.T, binary string) []call {
	dir, log := filepath.Join(memoryDir(t), "counted"), straceLog(t)
	c := launch(t, exec.Command("strace", "-y", "-o", log, binary, dir), "create")
	if out := c.ended(t); len(out) > 0 || c.Cmd.ProcessState.ExitCode() != 0 {
		t.Fatalf("it ended by itself with %v: %s", c.Cmd.ProcessState, out)
	}
	return append(callsBetweenMarks(t, log, dir), call{"getppid", 2}) // everything is done by then
}

// kills is what came of all of them.
type kills struct {
	all, missed, survived, temporary, published int
	looks, seen                                 int
}

func (k *kills) kill(t *testing.T, binary string, step call) {
	parent := memoryDir(t)
	defer os.RemoveAll(parent)
	dir, log := filepath.Join(parent, "m"), filepath.Join(parent, "strace")

	done := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() { k.watch(t, dir, done) })
	cmd := exec.Command("strace", "-y", "-o", log, "-e", "trace="+step.name, "-e", step.inject("signal=KILL"), binary, dir)
	c := launch(t, cmd, "create")
	c.ended(t)
	close(done)
	watching.Wait()

	k.all++
	at := lastCall(contents(t, log))
	switch {
	case c.Cmd.ProcessState.ExitCode() == 0:
		k.survived++
	case !strings.Contains(at, dir) && step.name != "getppid":
		k.missed++
	}
	temporary, published := temporaries(t, dir), processFiles(t, dir)
	k.temporary += len(temporary)
	k.published += len(published)
	if len(temporary)+len(published) > 1 {
		t.Errorf("killed at %v: %v and %v are there", step, temporary, published)
	}
	k.clean(t, dir, step, temporary)

	// It is a directory like any other.
	s, err := store.Open(store.Opts{Location: dir, NoAbsorption: true, Logger: silent})
	if err != nil {
		t.Errorf("killed at %v: the next process cannot open its store: %v", step, err)
		return
	}
	defer s.Close()
	s.NewCounter(prometheus.CounterOpts{Name: "next_total", Help: "h"}).Inc()
	shown := scrapeOnce(t, dir)
	shown.complete(t, "killed at "+step.String()+", with another process")
	if n := shown.samples["next_total"]; n != 1 {
		t.Errorf("killed at %v: the next process counts %v, want 1", step, n)
	}
}

// clean lets an absorption remove what is left: not while it is young, since it
// may be a process that is about to lock it.
func (k *kills) clean(t *testing.T, dir string, step call, left []string) {
	sub := filepath.Join(dir, layout.Subdirectory)
	if _, err := os.Stat(sub); err != nil {
		return
	}
	if report := absorbRest(t, dir); report.Temporary != 0 || len(report.Left)+len(report.Quarantined) > 0 {
		t.Errorf("killed at %v, within a minute: %+v", step, report)
	}
	past := time.Now().Add(-61 * time.Second)
	for _, name := range left {
		if err := os.Chtimes(filepath.Join(sub, name), past, past); err != nil {
			t.Errorf("killed at %v: %v", step, err)
		}
	}
	if report := absorbRest(t, dir); report.Temporary != len(left) {
		t.Errorf("killed at %v, after a minute: %+v, want %v removed", step, report, left)
	}
	names := slices.DeleteFunc(listing(t, dir), func(name string) bool { return name == layout.ArchiveName || name == layout.LockName })
	if len(names) > 0 {
		t.Errorf("killed at %v: %v is left in the end", step, names)
	}
}

// watch opens every published file that it sees, and scrapes, until done.
func (k *kills) watch(t *testing.T, dir string, done <-chan struct{}) {
	c := collector.New(collector.Opts{Location: dir, NoAbsorption: true, Logger: silent})
	defer c.Close()
	for {
		names := processFiles(t, dir)
		for _, name := range names {
			k.seen++
			f, err := reader.Open(filepath.Join(dir, layout.Subdirectory, name))
			if err != nil {
				t.Errorf("%s is published and cannot be read: %v", name, err)
				continue
			}
			if pid, id, _ := layout.ParseFileName(name); f.Header().ID != id || int(f.Header().PID) != pid {
				t.Errorf("%s has the header %+v", name, f.Header())
			}
			f.Close()
		}
		if k.looks++; k.looks%8 == 0 || len(names) > 0 {
			see(t, c).complete(t, "while a file is made")
		}
		select {
		case <-done:
			return
		default:
		}
	}
}

// lastCall is the last system call in a log of strace.
func lastCall(log string) (last string) {
	for line := range strings.Lines(log) {
		if callName.MatchString(line) {
			last = line
		}
	}
	return last
}
