package trial

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"github.com/mpmetrics/mpmetrics/store"
)

func init() { programs["stall"] = stall }

// stall counts in two goroutines, makes series in a third, and in a fourth does
// nothing with metrics, until its standard input ends. Then it says what was
// counted, how long a call took at most, and how long each of them stood still,
// calls or not. args is the directory.
func stall(args []string) error {
	s, err := store.Open(store.Opts{Location: args[0], NoAbsorption: true, Logger: silent})
	if err != nil {
		return err
	}
	done := ends()
	counted := s.NewCounterVec(prometheus.CounterOpts{Name: "counted_total", Help: "Counts."}, []string{"goroutine"})
	made := s.NewCounterVec(prometheus.CounterOpts{Name: "made_total", Help: "Series."}, []string{"n"})
	var stop atomic.Bool
	each := func(step func(n int)) <-chan stood {
		result := make(chan stood, 1)
		go func() {
			var r stood
			for last := time.Now(); !stop.Load(); r.steps++ {
				begin := time.Now()
				step(r.steps)
				end := time.Now()
				r.call, r.still = max(r.call, end.Sub(begin)), max(r.still, end.Sub(last))
				last = end
				time.Sleep(time.Millisecond)
			}
			result <- r
		}()
		return result
	}
	a, b := counted.WithLabelValues("a"), counted.WithLabelValues("b")
	garbage := make([][]byte, 100) // a service allocates, and is stopped to collect that
	all := []<-chan stood{
		each(func(int) { a.Inc() }),
		each(func(int) { b.Inc() }),
		each(func(n int) { made.WithLabelValues(strconv.Itoa(n)).Inc() }),
		each(func(n int) { garbage[n%len(garbage)] = make([]byte, 10_000) }),
	}
	fmt.Println("counting")
	<-done
	stop.Store(true)
	for _, result := range all {
		r := <-result
		fmt.Println(r.steps, int64(r.call), int64(r.still))
	}
	select {}
}

// stood is what came of a goroutine.
type stood struct {
	steps       int
	call, still time.Duration // the longest
}

// A disk that stands still stops whoever counts on it, whole processes even. On
// tmpfs nothing of the kind happens. Whatever happens, nothing is lost.
func TestFrozenDisk(t *testing.T) {
	const frozen = 2 * time.Second
	// An ordinary wait for a core is shorter than that by far.
	const bound = 1500 * time.Millisecond
	t.Run("ext4", func(t *testing.T) {
		dir := mountDisk(t, 64<<20)
		s := stalled(t, dir, func() {
			thaw, err := freeze(dir)
			if err != nil {
				t.Skipf("skipped: the file system cannot be frozen: %v", err)
			}
			defer thaw()
			time.Sleep(frozen)
		})
		t.Logf("ext4, frozen for %v: %v", frozen, s)
	})
	t.Run("tmpfs", func(t *testing.T) {
		s := stalled(t, mountTmpfs(t, "16m"), func() { time.Sleep(frozen) })
		if s.longest() > bound {
			t.Errorf("on tmpfs: %v, want less than %v", s, bound)
		}
		t.Logf("tmpfs, for %v: %v", frozen, s)
	})
}

// stalls are those of two goroutines that count, one that makes series, and one
// that has nothing to do with metrics.
type stalls [4]stood

func (s stalls) String() string {
	return fmt.Sprintf("an Inc took %v at most, a new series %v; those who count stood still for %v, who makes series for %v, who has nothing to do with metrics for %v; %d counts and %d series, all exact",
		max(s[0].call, s[1].call), s[2].call, max(s[0].still, s[1].still), s[2].still, s[3].still, s[0].steps+s[1].steps, s[2].steps)
}

func (s stalls) longest() (d time.Duration) {
	for _, r := range s {
		d = max(d, r.still)
	}
	return d
}

// stalled measures a child over what happens.
func stalled(t *testing.T, dir string, happens func()) (s stalls) {
	t.Helper()
	c := launch(t, exec.Command(plainBinary(t), filepath.Join(dir, "m")), "stall")
	if _, err := c.Output().ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond)
	happens()
	time.Sleep(1500 * time.Millisecond) // until the background work has made room
	c.CloseInput()
	for i := range s {
		if _, err := fmt.Fscan(c.Output(), &s[i].steps, &s[i].call, &s[i].still); err != nil {
			t.Fatal(err)
		}
	}
	a, b, made := float64(s[0].steps), float64(s[1].steps), s[2].steps
	for limit := time.Now().Add(5 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		now := scrapeOnce(t, filepath.Join(dir, "m"))
		now.complete(t, "afterwards")
		exact := now.samples["counted_total a"] == a && now.samples["counted_total b"] == b && len(now.samples) == 2+made
		if exact {
			break
		}
		if time.Now().After(limit) {
			t.Errorf("%v and %v counts, %v series, want %v, %v, %v", now.samples["counted_total a"], now.samples["counted_total b"], len(now.samples)-2, a, b, made)
			break
		}
	}
	c.Signal(unix.SIGKILL)
	c.ended(t)
	return s
}

// freeze lets every write to a file system wait, until thaw is called.
func freeze(dir string) (thaw func(), err error) {
	const (
		// linux/fs.h
		fiFreeze = 0xc0045877
		fiThaw   = 0xc0045878
	)
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.IoctlSetInt(int(d.Fd()), fiFreeze, 0); err != nil {
		d.Close()
		return nil, err
	}
	return func() {
		if err := unix.IoctlSetInt(int(d.Fd()), fiThaw, 0); err != nil {
			panic(fmt.Sprintf("%s stays frozen: %v", dir, err))
		}
		d.Close()
	}, nil
}
