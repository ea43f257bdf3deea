package trial

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/testing/reexec"
	"github.com/mpmetrics/mpmetrics/store"
)

func init() { programs["permit"] = permit }

// permit does one thing with a directory and says what came of it: args are the
// umask, what, and the directory.
func permit(args []string) error {
	umask, err := strconv.ParseInt(args[0], 8, 32)
	if err != nil {
		return err
	}
	syscall.Umask(int(umask))
	switch what, dir := args[1], args[2]; what {
	case "count":
		s, err := store.Open(store.Opts{Location: dir, NoAbsorption: true, Logger: silent})
		if err != nil {
			fmt.Println(err)
			return nil
		}
		s.NewCounter(prometheus.CounterOpts{Name: "ones", Help: "Ones."}).Inc()
		fmt.Println("counted")
	case "scrape":
		fmt.Println(sayScrape(dir))
	case "absorb":
		report, err := compact.Run(context.Background(), dir, compact.Opts{Limits: compact.Limits{CoreShare: 1}, Logger: silent})
		if err != nil {
			fmt.Println(err)
			return nil
		}
		fmt.Println(report)
	}
	return nil
}

// sayScrape says what a scrape shows: the counter, and whether it is complete.
func sayScrape(dir string) string {
	c := collector.New(collector.Opts{Location: dir, NoAbsorption: true, Logger: silent})
	defer c.Close()
	r := prometheus.NewRegistry()
	r.MustRegister(c)
	families, err := r.Gather()
	if err != nil {
		return err.Error()
	}
	up, ones := 0.0, "nothing"
	for _, f := range families {
		switch f.GetName() {
		case "mpmetrics_up":
			up = f.GetMetric()[0].GetGauge().GetValue()
		case "ones":
			ones = fmt.Sprint(f.GetMetric()[0].GetCounter().GetValue())
		}
	}
	return fmt.Sprintf("up %v, ones %s", up, ones)
}

// user is who runs a program.
type user struct{ uid, gid uint32 }

var (
	root    = user{0, 0}
	app     = user{61000, 61000}
	other   = user{61001, 61001}
	member  = user{61000, 61009} // of the group that shares
	sidecar = user{61001, 61009}
)

// permissions is a place where other users get at a directory and at the test's
// own binary.
type permissions struct {
	t      *testing.T
	base   string
	binary string
}

func newPermissions(t *testing.T) *permissions {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can be other users: run as root to test permissions")
	}
	base, err := os.MkdirTemp("/dev/shm", "mpmetrics-trial-")
	if err != nil {
		t.Skipf("no directory that all users get at: %v", err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	p := &permissions{t: t, base: base, binary: filepath.Join(base, "trial.test")}
	p.must(os.Chmod(base, 0o755))
	from, err := os.Open(os.Args[0])
	p.must(err)
	defer from.Close()
	to, err := os.OpenFile(p.binary, os.O_CREATE|os.O_WRONLY, 0o755)
	p.must(err)
	_, err = io.Copy(to, from)
	p.must(err)
	p.must(to.Close())
	return p
}

func (p *permissions) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// directory makes a directory of somebody, with a mode.
func (p *permissions) directory(path string, of user, mode fs.FileMode) string {
	p.t.Helper()
	p.must(os.MkdirAll(path, 0o755))
	p.must(os.Chown(path, int(of.uid), int(of.gid)))
	p.must(os.Chmod(path, mode))
	return path
}

// command is the test's own binary, run as somebody.
func (p *permissions) command(u user, args ...string) *exec.Cmd {
	cmd := exec.Command(p.binary, args...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: u.uid, Gid: u.gid}}
	return cmd
}

// as runs the program as somebody and returns what it says.
func (p *permissions) as(u user, umask, what, dir string, env ...string) string {
	p.t.Helper()
	cmd := reexec.As("permit", p.command(u, umask, what, dir))
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		p.t.Fatalf("%s as %d: %v\n%s", what, u.uid, err, out)
	}
	return strings.TrimSpace(string(out))
}

// says fails the test unless a program says something.
func (p *permissions) says(want string, u user, umask, what, dir string, env ...string) {
	p.t.Helper()
	if got := p.as(u, umask, what, dir, env...); !strings.Contains(got, want) {
		p.t.Errorf("%s as %d:%d, umask %s: %q, want %q", what, u.uid, u.gid, umask, got, want)
	}
}

// modes checks what was made in the subdirectory of a directory: nothing is wider
// than it may be, and everything is somebody's.
func (p *permissions) modes(dir string, uid uint32, sub, file, process fs.FileMode) {
	p.t.Helper()
	path := filepath.Join(dir, layout.Subdirectory)
	check := func(path string, want fs.FileMode) {
		info, err := os.Lstat(path)
		p.must(err)
		if got := info.Mode() & (fs.ModePerm | fs.ModeSetgid); got != want {
			p.t.Errorf("%s: mode %v, want %v", filepath.Base(path), got, want)
		}
		if st := info.Sys().(*syscall.Stat_t); st.Uid != uid && uid != anybody {
			p.t.Errorf("%s is of uid %d, want %d", filepath.Base(path), st.Uid, uid)
		}
	}
	check(path, sub)
	entries, err := os.ReadDir(path)
	p.must(err)
	for _, e := range entries {
		switch {
		case e.IsDir():
			check(filepath.Join(path, e.Name()), sub)
		case e.Name() == layout.ArchiveName || filepath.Ext(e.Name()) != layout.Extension:
			check(filepath.Join(path, e.Name()), file)
		default:
			check(filepath.Join(path, e.Name()), process)
		}
	}
}

const anybody = ^uint32(0)

// Wherever a directory may be, with any umask, what is made in it is its
// owner's alone.
func TestDirectoryUnderAnyParentAndUmask(t *testing.T) {
	p := newPermissions(t)
	n := 0
	for _, umask := range []string{"000", "022", "077", "777"} {
		for name, parent := range map[string]struct {
			of   user
			mode fs.FileMode
		}{
			"own":                  {app, 0o755},
			"own, closed":          {app, 0o700},
			"own, sticky":          {app, 0o777 | fs.ModeSticky},
			"emptyDir":             {root, 0o777},
			"emptyDir, fsGroup":    {user{0, app.gid}, 0o777 | fs.ModeSetgid},
			"root's, open, sticky": {root, 0o777 | fs.ModeSticky},
		} {
			dir := p.directory(filepath.Join(p.base, fmt.Sprint(n)), parent.of, parent.mode)
			n++
			t.Logf("%s, umask %s: %d", name, umask, n)
			p.says("counted", app, umask, "count", dir)
			p.says("counted", app, umask, "count", dir)
			p.modes(dir, app.uid, 0o700, 0o600, 0o400)
			p.says("up 1, ones 2", app, umask, "scrape", dir)
			p.says("2 processes absorbed", app, umask, "absorb", dir)
			p.says("up 1, ones 2", app, umask, "scrape", dir)
			p.modes(dir, app.uid, 0o700, 0o600, 0o400)
			refused := "belongs to uid 61000"
			if parent.mode == 0o700 {
				refused = "permission denied"
			}
			p.says(refused, other, umask, "count", dir)
		}
	}
}

// What is there already and unsafe is refused, and the reason is said.
func TestUnsafeDirectoriesAreRefused(t *testing.T) {
	p := newPermissions(t)
	for name, c := range map[string]struct {
		parent user
		mode   fs.FileMode
		sub    func(path string) error
		as     user
		saying string
	}{
		"nothing, in a directory that is closed": {
			parent: root,
			mode:   0o755,
			sub:    func(string) error { return nil },
			as:     app,
			saying: "permission denied",
		},
		"another user's": {
			parent: root,
			mode:   0o777,
			sub:    make700(other),
			as:     app,
			saying: "belongs to uid 61001 and this process runs as 61000",
		},
		"another user's, closed parent": {parent: app, mode: 0o700, sub: make700(other), as: app, saying: "belongs to uid 61001"},
		"root's":                        {parent: root, mode: 0o777, sub: make700(root), as: app, saying: "belongs to uid 0"},
		"another user's, for root, in an open sticky directory": {
			parent: root,
			mode:   0o777 | fs.ModeSticky,
			sub:    make700(other),
			as:     root,
			saying: "every user may make directories",
		},
		"open to all": {parent: app, mode: 0o755, sub: makeMode(app, 0o755), as: app, saying: "gives access to other users"},
		"writable by all, in spite of being sticky": {
			parent: app,
			mode:   0o755,
			sub:    makeMode(app, 0o777|fs.ModeSticky),
			as:     app,
			saying: "gives access to other users",
		},
		"open to the group": {
			parent: app,
			mode:   0o755,
			sub:    makeMode(app, 0o770|fs.ModeSetgid),
			as:     app,
			saying: "GroupShared",
		},
		"a symbolic link": {parent: app, mode: 0o755, sub: func(path string) error {
			target := path + "-target"
			return errorsOf(makeMode(app, 0o700)(target), os.Symlink(target, path), os.Lchown(path, int(app.uid), int(app.gid)))
		}, as: app, saying: "symbolic link"},
		"a file": {parent: app, mode: 0o755, sub: func(path string) error { return os.WriteFile(path, nil, 0o600) }, as: app, saying: "no directory"},
		"a FIFO": {parent: app, mode: 0o755, sub: func(path string) error { return syscall.Mkfifo(path, 0o600) }, as: app, saying: "no directory"},
	} {
		t.Run(name, func(t *testing.T) {
			p := &permissions{t: t, base: p.base, binary: p.binary}
			dir := p.directory(filepath.Join(p.base, strings.NewReplacer(" ", "-", ",", "").Replace(name)), c.parent, c.mode)
			p.must(c.sub(filepath.Join(dir, layout.Subdirectory)))
			p.says(c.saying, c.as, "022", "count", dir)
			if c.saying != "permission denied" {
				p.says("up 0", c.as, "022", "scrape", dir)
				p.says(c.saying, c.as, "022", "absorb", dir)
			}
		})
	}
}

func make700(of user) func(string) error { return makeMode(of, 0o700) }

func makeMode(of user, mode fs.FileMode) func(string) error {
	return func(path string) error {
		return errorsOf(os.Mkdir(path, 0o700), os.Chown(path, int(of.uid), int(of.gid)), os.Chmod(path, mode))
	}
}

// errorsOf is the first of several errors.
func errorsOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// A sidecar of another user reads, and absorbs, what the users of its group
// have counted.
func TestGroupSharedDirectory(t *testing.T) {
	p := newPermissions(t)
	const env = store.EnvGroupShared + "=1"
	for _, umask := range []string{"000", "022", "077"} {
		dir := p.directory(filepath.Join(p.base, umask), user{0, member.gid}, 0o777|fs.ModeSetgid)
		p.says("counted", member, umask, "count", dir, env)
		p.modes(dir, member.uid, 0o770|fs.ModeSetgid, 0o660, 0o440)
		p.says("up 1, ones 1", sidecar, umask, "scrape", dir, env)
		p.says("counted", sidecar, umask, "count", dir, env)
		p.says("2 processes absorbed", sidecar, umask, "absorb", dir, env)
		p.says("counted", member, umask, "count", dir, env)
		p.modes(dir, anybody, 0o770|fs.ModeSetgid, 0o660, 0o440)
		for _, u := range []user{member, sidecar} {
			p.says("up 1, ones 3", u, umask, "scrape", dir, env)
			p.says("GroupShared", u, umask, "count", dir) // not by accident
		}
		p.says("1 processes absorbed", member, umask, "absorb", dir, env)
		p.says("without that group", other, umask, "count", dir, env)
		p.modes(dir, anybody, 0o770|fs.ModeSetgid, 0o660, 0o440)
	}
}

// Root helps the owner of a directory, and leaves nothing that the owner
// cannot use.
func TestRootInDirectoryOfAnotherUser(t *testing.T) {
	p := newPermissions(t)
	dir := p.directory(filepath.Join(p.base, "d"), app, 0o755)
	p.says("counted", root, "077", "count", dir)
	p.modes(dir, app.uid, 0o700, 0o600, 0o400)
	p.says("counted", app, "077", "count", dir)
	p.must(os.WriteFile(filepath.Join(dir, layout.Subdirectory, layout.FileName(7, layout.NewID())), []byte("damaged"), 0o600))
	for _, path := range processFiles(t, dir) {
		p.must(os.Lchown(filepath.Join(dir, layout.Subdirectory, filepath.Base(path)), int(app.uid), int(app.gid)))
	}
	p.says("2 processes absorbed, 1 files put aside", root, "077", "absorb", dir)
	p.modes(dir, app.uid, 0o700, 0o600, 0o400)
	entries, err := os.ReadDir(filepath.Join(dir, layout.Subdirectory, layout.QuarantineName))
	p.must(err)
	for _, e := range entries {
		info, err := e.Info()
		p.must(err)
		if st := info.Sys().(*syscall.Stat_t); st.Uid != app.uid {
			t.Errorf("%s in quarantine is of uid %d, want %d", e.Name(), st.Uid, app.uid)
		}
	}
	p.says("counted", app, "077", "count", dir)
	p.says("up 1, ones 3", app, "077", "scrape", dir)
	p.says("1 processes absorbed", app, "077", "absorb", dir)
}

// What is not a file of a process is refused, whatever its name says, and
// costs nobody else anything.
func TestFilesThatAreNoOwnerFilesAreRefused(t *testing.T) {
	p := newPermissions(t)
	dir := p.directory(filepath.Join(p.base, "d"), app, 0o755)
	p.says("counted", app, "022", "count", dir)
	sub := filepath.Join(dir, layout.Subdirectory)
	real := processFiles(t, dir)[0]
	name := func() string { return filepath.Join(sub, layout.FileName(7, layout.NewID())) }
	p.must(os.Symlink(filepath.Join(sub, filepath.Base(real)), name()))
	p.must(os.Symlink("/dev/zero", name()))
	p.must(syscall.Mkfifo(name(), 0o600))
	p.must(syscall.Mknod(name(), syscall.S_IFCHR|0o600, 1<<8|5)) // /dev/zero
	p.must(os.Mkdir(name(), 0o700))
	p.must(os.Link(filepath.Join(sub, filepath.Base(real)), name()))
	foreign := name()
	p.must(os.WriteFile(foreign, []byte("x"), 0o600))
	for _, path := range processFiles(t, dir) {
		if path = filepath.Join(sub, filepath.Base(path)); path != foreign {
			p.must(os.Lchown(path, int(app.uid), int(app.gid)))
		}
	}
	p.says("up 1, ones 1", app, "022", "scrape", dir)
	p.says("1 processes absorbed, 1 files put aside, 6 files left", app, "022", "absorb", dir)
	p.says("up 1, ones 1", app, "022", "scrape", dir)
}

// A directory that is swapped under its processes is refused, and one that
// comes back is used again.
func TestSwappedDirectoryIsRefused(t *testing.T) {
	p := newPermissions(t)
	dir := p.directory(filepath.Join(p.base, "d"), root, 0o777)
	p.says("counted", app, "022", "count", dir)
	sub := filepath.Join(dir, layout.Subdirectory)
	p.must(os.Rename(sub, sub+"-away"))
	p.must(make700(other)(sub))
	p.says("up 0, ones nothing", app, "022", "scrape", dir)
	p.says("belongs to uid 61001", app, "022", "count", dir)
	p.must(os.RemoveAll(sub))
	p.must(os.Rename(sub+"-away", sub))
	p.says("up 1, ones 1", app, "022", "scrape", dir)
	p.says("counted", app, "022", "count", dir)
	p.says("up 1, ones 2", app, "022", "scrape", dir)
}
