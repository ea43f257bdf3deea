package trial

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/store"
)

func init() { programs["obey"] = obey }

// obey opens a store in the directory args[0] and does what the lines on standard input say: "become
// UID" drops the privileges, "make N" makes as many series and counts 1 in each, "tick" waits for
// the background work. Each answer is a line.
func obey(args []string) error {
	s, err := store.Open(store.Opts{Location: args[0], NoAbsorption: true, Logger: silent})
	if err != nil {
		return err
	}
	made := 0
	vec := s.NewCounterVec(prometheus.CounterOpts{Name: "made_total", Help: "Series."}, []string{"n"})
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		what, number, _ := strings.Cut(in.Text(), " ")
		n, _ := strconv.Atoi(number)
		switch what {
		case "become":
			if err := syscall.Setgid(n); err != nil {
				return err
			}
			if err := syscall.Setuid(n); err != nil {
				return err
			}
		case "make":
			for range n {
				vec.WithLabelValues(strconv.Itoa(made)).Inc()
				made++
			}
		case "tick":
			time.Sleep(2500 * time.Millisecond)
		}
		fmt.Println("done", s.Degraded())
	}
	return nil
}

// obedient is a process that runs obey.
type obedient struct {
	*child
	t *testing.T
}

func (p *permissions) obedient(u user, dir string) obedient {
	p.t.Helper()
	return obedient{launch(p.t, p.command(u, dir), "obey"), p.t}
}

// do has something done, and returns why the store is degraded afterwards.
func (o obedient) do(what string) string {
	o.t.Helper()
	o.Tell(what)
	return strings.TrimPrefix(o.Line(), "done ")
}

// outgrows makes more series than the first slabs of a file hold, and fails the test unless they
// find room.
func (o obedient) outgrows() {
	o.t.Helper()
	o.do("make " + strconv.Itoa(more))
	if degraded := o.do("tick"); degraded != "<nil>" {
		o.t.Errorf("the store is degraded: %s", degraded)
	}
}

// shows fails the test unless a scrape of a directory shows as many series, each with 1 counted.
func (p *permissions) shows(dir string, want int) {
	p.t.Helper()
	c := collector.New(collector.Opts{Location: dir, NoAbsorption: true, Logger: silent})
	defer c.Close()
	got := shown(p.t, c)
	if len(got) != want {
		p.t.Errorf("%d series are shown, want %d", len(got), want)
	}
	for name, v := range got {
		if v != 1 {
			p.t.Errorf("%s is %v, want 1", name, v)
		}
	}
}

// more is the number of series that outgrows makes.
const more = 2000

// A daemon opens its store as root and drops its privileges. The file is open, locked and mapped,
// and goes on growing.
func TestPrivilegesDropped(t *testing.T) {
	p := newPermissions(t)
	dir := p.directory(filepath.Join(p.base, "d"), root, 0o755)
	daemon := p.obedient(root, dir)
	daemon.do("make 1")
	daemon.do("become " + strconv.Itoa(int(app.uid)))
	daemon.outgrows()
	daemon.do("make 1")
	daemon.do("tick")
	daemon.Kill()
	p.shows(dir, more+2)
}

// A parent of the directory that cannot be entered for a while costs nothing.
func TestParentThatCannotBeEntered(t *testing.T) {
	p := newPermissions(t)
	parent := filepath.Join(p.base, "parent")
	dir := p.directory(filepath.Join(parent, "d"), app, 0o755)
	owner := p.obedient(app, dir)
	owner.do("make 1")
	before := processFiles(t, dir)
	p.must(os.Chmod(parent, 0))
	owner.outgrows()
	p.shows(dir, more+1)
	p.must(os.Chmod(parent, 0o755))
	owner.do("make 1")
	owner.do("tick")
	if after := processFiles(t, dir); len(after) != 1 || after[0] != before[0] {
		t.Errorf("files %v, want %v: the file of the process was there all the time", after, before)
	}
	owner.Kill()
	p.shows(dir, more+2)
}

// A file that is removed while its directory cannot be entered is made anew as soon as the
// directory can be entered.
func TestRemovedWhereNobodyCanLook(t *testing.T) {
	p := newPermissions(t)
	parent := filepath.Join(p.base, "parent")
	dir := p.directory(filepath.Join(parent, "d"), app, 0o755)
	owner := p.obedient(app, dir)
	owner.do("make 10")
	p.must(os.Chmod(parent, 0))
	p.must(os.Remove(filepath.Join(dir, layout.Subdirectory, processFiles(t, dir)[0])))
	if degraded := owner.do("tick"); !strings.Contains(degraded, "permission denied") {
		t.Errorf("degraded: %s, want the reason why the file cannot be made anew", degraded)
	}
	p.must(os.Chmod(parent, 0o755))
	for limit := time.Now().Add(30 * time.Second); owner.do("tick") != "<nil>" && time.Now().Before(limit); {
	}
	owner.Kill()
	p.shows(dir, 10)
}
