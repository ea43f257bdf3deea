package trial

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/compact"
)

// wantMade fails the test unless a scrape is complete and shows n series of obey, with v in each.
func wantMade(t *testing.T, s sight, when string, n int, v float64) {
	t.Helper()
	if !s.up || len(s.samples) != n {
		t.Errorf("%s: up is %v, %d series, want %d", when, s.up, len(s.samples), n)
	}
	for name, got := range s.samples {
		if got != v {
			t.Errorf("%s: %s is %v, want %v", when, name, got, v)
		}
	}
}

// ext4 turns read-only after an error of the disk. Pages that were written back before are clean,
// and the next update makes each of them dirty again: no update may fault.
func TestDiskThatTurnsReadOnly(t *testing.T) {
	dir := mountDisk(t, 16<<20)
	c := start(t, "obey", dir)
	c.Tell("make 5")
	c.Line()
	source, err := exec.Command("findmnt", "-n", "-o", "SOURCE", dir).Output()
	if err != nil {
		t.Skipf("skipped: the device is unknown: %v", err)
	}
	if out, err := exec.Command("mount", "-o", "remount,errors=remount-ro", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	unix.Sync()
	trigger := filepath.Join("/sys/fs/ext4", filepath.Base(strings.TrimSpace(string(source))), "trigger_fs_error")
	if err := os.WriteFile(trigger, []byte("test"), 0); err != nil {
		t.Skipf("skipped: ext4 cannot be told to fail: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "other"), nil, 0o600); !errors.Is(err, unix.EROFS) {
		t.Fatalf("got %v, want %v", err, unix.EROFS)
	}
	c.Tell("make 5")
	c.Line()
	wantMade(t, scrapeOnce(t, dir), "read-only", 10, 1)
	c.Kill()
	wantMade(t, scrapeOnce(t, dir), "after the end of the process", 10, 1)
}

// The disk of the archive has no room: a dead process stays in its file, and is absorbed once there
// is room again.
func TestArchiveDiskFull(t *testing.T) {
	dir, disk := memoryDir(t), mountTmpfs(t, "1m")
	w := &waster{path: filepath.Join(disk, "foreign")}
	o := compact.Opts{ArchiveDir: disk}
	die := func() {
		c := start(t, "obey", dir)
		c.Tell("make 7")
		c.Line()
		c.Kill()
	}
	die()
	if _, err := compact.Run(t.Context(), dir, o); err != nil {
		t.Fatal(err)
	}
	die()
	w.waste(t)
	_, err := compact.Run(t.Context(), dir, o)
	if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), disk) || !strings.Contains(err.Error(), "make room") {
		t.Errorf("got %v, want %v with the path and the remedy", err, unix.ENOSPC)
	}
	wantMade(t, scrapeOnce(t, dir), "full", 7, 2)
	w.file.Close()
	if err := os.Remove(w.path); err != nil {
		t.Fatal(err)
	}
	if r, err := compact.Run(t.Context(), dir, o); err != nil || r.Absorbed != 1 {
		t.Errorf("%v, %v", r, err)
	}
	wantMade(t, scrapeOnce(t, dir), "room again", 7, 2)
}

// A copy of a directory is put back over the directory, each file as a new file: the file of a living
// process, that of a dead one that is absorbed since, and the lock.
func TestCopyOfALiveDirectoryPutBack(t *testing.T) {
	dir, kept := memoryDir(t), filepath.Join(t.TempDir(), "kept")
	run := func(command ...string) {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v %s", command, err, out)
		}
	}
	c := collector.New(collector.Opts{Location: dir, NoAbsorption: true, Logger: silent})
	defer c.Close()
	lives, dies := start(t, "obey", dir), start(t, "obey", dir)
	for _, c := range []*child{lives, dies} {
		c.Tell("make 7")
		c.Line()
	}
	wantMade(t, see(t, c), "both live", 7, 2)
	run("cp", "-a", dir, kept)
	wantMade(t, scrapeOnce(t, kept), "the copy", 0, 0)
	dies.Kill()
	if _, err := compact.Run(t.Context(), dir, compact.Opts{}); err != nil {
		t.Fatal(err)
	}
	run("cp", "-a", "--remove-destination", kept+"/.", dir)
	wantMade(t, see(t, c), "put back", 7, 2)
	lives.Tell("tick")
	lives.Line()
	wantMade(t, see(t, c), "after the process has made its file again", 7, 2)
	wantMade(t, scrapeOnce(t, dir), "a new collector", 7, 2)
}

// All processes end and start again in one instant, while a collector scrapes and absorbs.
func TestAllProcessesRestartedAtOnce(t *testing.T) {
	const processes, rounds = 8, 3
	dir := memoryDir(t)
	c := collector.New(collector.Opts{Location: dir, Logger: silent})
	defer c.Close()
	var before []*child
	for round := range rounds {
		for _, c := range before {
			c.Signal(unix.SIGKILL)
		}
		var now []*child
		for range processes {
			c := start(t, "obey", dir)
			c.Tell("make 7")
			now = append(now, c)
		}
		// Processes come one after the other: until then a total is between two rounds, and never less.
		last := float64(round * processes)
		for _, n := range now {
			n.Line()
			s := see(t, c)
			s.complete(t, "restarting")
			if got := s.samples["made_total 0"]; got < last {
				t.Errorf("from %v to %v", last, got)
			} else {
				last = got
			}
		}
		wantMade(t, see(t, c), "restarted", 7, float64((round+1)*processes))
		before = now
	}
	for limit := time.Now().Add(10 * time.Second); len(processFiles(t, dir)) > processes && time.Now().Before(limit); time.Sleep(50 * time.Millisecond) {
		wantMade(t, see(t, c), "absorbing", 7, rounds*processes)
	}
	if n := len(processFiles(t, dir)); n != processes {
		t.Errorf("%d files, want those of the %d that live", n, processes)
	}
	wantMade(t, see(t, c), "absorbed", 7, rounds*processes)
}

// The disk of the archive is away, or another disk is in its place, which is empty. Jobs count into
// their files meanwhile, scrapes lack cumulative metrics, and all is there when the disk is.
func TestArchiveDiskAway(t *testing.T) {
	for name, take := range map[string]func(t *testing.T, disk string){
		"not mounted": func(*testing.T, string) {},
		"replaced":    func(t *testing.T, disk string) { mountTmpfsAt(t, disk, "1m") },
	} {
		t.Run(name, func(t *testing.T) {
			dir, disk := memoryDir(t), mountTmpfs(t, "1m")
			kept := filepath.Join(t.TempDir(), "kept")
			if err := os.Mkdir(kept, 0o700); err != nil {
				t.Fatal(err)
			}
			o := compact.Opts{ArchiveDir: disk}
			job := func() {
				c := start(t, "obey", dir)
				c.Tell("make 7")
				c.Line()
				c.Kill()
			}
			job()
			if _, err := compact.Run(t.Context(), dir, o); err != nil {
				t.Fatal(err)
			}
			c := collector.New(collector.Opts{Location: dir, NoAbsorption: true, Logger: silent})
			defer c.Close()
			wantMade(t, see(t, c), "before", 7, 1)
			if err := unix.Mount(disk, kept, "", unix.MS_BIND, ""); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { unmount(t, kept) })
			unmount(t, disk)
			take(t, disk)
			job()
			job()
			for _, s := range []sight{see(t, c), scrapeOnce(t, dir)} {
				if s.up {
					t.Errorf("a scrape without the archive is complete: %v", s.samples)
				}
			}
			if _, err := compact.Run(t.Context(), dir, o); err == nil || !strings.Contains(err.Error(), "mount the directory") {
				t.Errorf("absorption without the archive: %v", err)
			}
			if err := unix.Mount(kept, disk, "", unix.MS_BIND, ""); err != nil {
				t.Fatal(err)
			}
			wantMade(t, see(t, c), "mounted again", 7, 3)
			wantMade(t, scrapeOnce(t, dir), "mounted again, a new collector", 7, 3)
			if r, err := compact.Run(t.Context(), dir, o); err != nil || r.Absorbed != 2 {
				t.Errorf("%v, %v; want two processes", r, err)
			}
			wantMade(t, see(t, c), "absorbed", 7, 3)
		})
	}
}
