package trial

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"github.com/mpmetrics/mpmetrics/store"
)

func init() { programs["update each kind"] = updateEachKind }

// updateEachKind makes an update of each kind for each line of the standard input. args is the directory.
func updateEachKind(args []string) error {
	s, err := store.Open(store.Opts{Location: args[0], NoAbsorption: true, Logger: silent})
	if err != nil {
		return err
	}
	c := s.NewCounter(prometheus.CounterOpts{Name: "made_total", Help: "Updates."})
	g := s.NewGauge(prometheus.GaugeOpts{Name: "last", Help: "The last update."}, store.Sum)
	h := s.NewHistogram(prometheus.HistogramOpts{Name: "updates", Help: "Updates."})
	for in, n := bufio.NewScanner(os.Stdin), 0; in.Scan(); n++ {
		c.Inc()
		g.Set(float64(n))
		h.Observe(1)
		fmt.Println("done")
	}
	return nil
}

// fillDisk writes until the file system of a directory has no room, also for metadata.
func fillDisk(t *testing.T, dir string) {
	t.Helper()
	for n := range 6 { // the room that is left after the first time is that of the file system itself
		f, err := os.Create(filepath.Join(dir, fmt.Sprint("fill", n)))
		if errors.Is(err, unix.ENOSPC) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		block := make([]byte, 64<<10)
		for err == nil {
			_, _ = rand.Read(block) // nothing to compress
			_, err = f.Write(block)
		}
		if !errors.Is(err, unix.ENOSPC) {
			t.Fatal(err)
		}
		_ = f.Sync() // there may be no room
		f.Close()
	}
}

// The disk of the directory is full, and each page of the file was written back, so that the next
// update asks the file system for the page: no update may fault.
func TestFullDiskKillsNobody(t *testing.T) {
	btrfs := func(t *testing.T) string { return mountImage(t, 128<<20, "mkfs.btrfs", "-q") }
	for name, mount := range map[string]func(t *testing.T) (disk, dir string){
		"ext4": func(t *testing.T) (disk, dir string) {
			disk = mountDisk(t, 16<<20)
			return disk, disk
		},
		"XFS": func(t *testing.T) (disk, dir string) {
			disk = mountImage(t, 300<<20, "mkfs.xfs", "-q")
			return disk, disk
		},
		"btrfs": func(t *testing.T) (disk, dir string) {
			disk = btrfs(t)
			return disk, disk
		},
		"overlay of btrfs": func(t *testing.T) (disk, dir string) {
			disk = btrfs(t)
			for _, name := range []string{"lower", "upper", "work", "all"} {
				if err := os.Mkdir(filepath.Join(disk, name), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			dir = filepath.Join(disk, "all")
			layers := fmt.Sprintf("lowerdir=%[1]s/lower,upperdir=%[1]s/upper,workdir=%[1]s/work", disk)
			if err := unix.Mount("overlay", dir, "overlay", 0, layers); err != nil {
				t.Skipf("skipped: no overlay can be mounted: %v", err)
			}
			t.Cleanup(func() { unmount(t, dir) })
			return disk, dir
		},
	} {
		t.Run(name, func(t *testing.T) {
			disk, dir := mount(t)
			c := start(t, "update each kind", dir)
			said := 0
			say := func() {
				c.Tell("update")
				c.Line()
				said++
			}
			say()
			fillDisk(t, disk)
			root, err := os.Open(disk)
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			for range 20 {
				_ = unix.Syncfs(int(root.Fd())) // there may be no room
				say()
			}
			s := scrapeOnce(t, dir)
			if got := s.samples["made_total"]; got != float64(said) {
				t.Errorf("made_total is %v, %d were acknowledged", got, said)
			}
			c.Kill()
		})
	}
}
