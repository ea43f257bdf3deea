//go:build unix

package trial

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/testing/effort"
	"github.com/mpmetrics/mpmetrics/store"
)

func init() {
	programs["probe"] = probe
	programs["scrape"] = scrapeForever
	programs["owners"] = owners
}

// ends is closed when the test closes the standard input.
func ends() <-chan struct{} {
	done := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(done)
	}()
	return done
}

// probe looks at the locks of all published files as a scraper does, so many
// times a second, and says how many times it did. args are the directory and the
// rate.
func probe(args []string) error {
	perSecond, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	sub, err := directory.Ensure(args[0], directory.Access{})
	if err != nil {
		return err
	}
	done, begin := ends(), time.Now()
	probes, held := 0, 0
	for {
		select {
		case <-done:
			fmt.Println(probes, held, time.Since(begin).Seconds())
			return nil
		default:
		}
		names, err := directory.List(sub)
		if err != nil {
			return err
		}
		any := false
		for _, name := range names {
			if _, _, err := layout.ParseFileName(name); err != nil {
				continue
			}
			f, _, err := directory.OpenFile(filepath.Join(sub, name))
			if err != nil {
				continue // absorbed meanwhile
			}
			// Over and over, while its owner starts and ends.
			for range 20 {
				any = true
				live, err := f.Live()
				if err != nil {
					return err
				}
				if probes++; live {
					held++
				}
			}
			f.Close()
		}
		if due := time.Duration(float64(probes) / float64(perSecond) * float64(time.Second)); due > time.Since(begin) || !any {
			time.Sleep(max(due-time.Since(begin), 100*time.Microsecond))
		}
	}
}

// scrapeForever scrapes without a pause, absorbs, and says how many times it
// scraped. args is the directory.
func scrapeForever(args []string) error {
	c := collector.New(collector.Opts{Location: args[0], Logger: silent})
	defer c.Close()
	done := ends()
	for n := 0; ; n++ {
		select {
		case <-done:
			fmt.Println(n)
			return nil
		default:
		}
		for range collect(c) {
			continue
		}
	}
}

// owners opens a store, counts, and ends, so many times, and says how long each
// start took in microseconds. The last ends without Close. args are the directory
// and the number.
func owners(args []string) error {
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	for i := range n {
		begin := time.Now()
		s, err := store.Open(store.Opts{Location: args[0], NoAbsorption: true, Logger: silent})
		took := time.Since(begin)
		if err != nil {
			return err
		}
		s.NewCounter(prometheus.CounterOpts{Name: "started_total", Help: "Starts."}).Inc()
		fmt.Println(took.Microseconds())
		if i == n-1 {
			return nil
		}
		if err := s.Close(); err != nil {
			return err
		}
	}
	return nil
}

// No probe of a lock, however many there are, keeps an owner from its file.
//
// In a normal run ten owners follow each other in a child.
func TestLockProbesDuringOwnerStarts(t *testing.T) {
	starts, perChild, atLeast := 1000, 10, 10_000
	if effort.Soak() {
		starts, perChild, atLeast = 10_000, 1, 100_000
	}
	binary := plainBinary(t)
	dir := memoryDir(t)
	begin := func(program string, args ...string) *child {
		return launch(t, exec.Command(binary, args...), program)
	}
	// More than asked for: it waits for a core as everybody does.
	prober := begin("probe", dir, strconv.Itoa(3*atLeast))
	collectors := []*child{begin("scrape", dir), begin("scrape", dir)}

	var mu sync.Mutex
	var took []time.Duration
	numbers := make(chan int)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for range numbers {
				c := launch(t, exec.Command(binary, dir, strconv.Itoa(perChild)), "owners")
				n := 0
				for lines := bufio.NewScanner(c.Output()); lines.Scan(); n++ {
					us, err := strconv.Atoi(lines.Text())
					if err != nil {
						t.Errorf("an owner wrote %q", lines.Text())
					}
					mu.Lock()
					took = append(took, time.Duration(us)*time.Microsecond)
					mu.Unlock()
				}
				if err := c.Cmd.Wait(); err != nil || n != perChild {
					t.Errorf("%d of %d starts, %v", n, perChild, err)
				}
			}
		})
	}
	first := time.Now()
	for n := range starts / perChild {
		numbers <- n
	}
	close(numbers)
	wg.Wait()
	all := time.Since(first)

	var probes, held, scrapes int
	var seconds float64
	prober.CloseInput()
	if _, err := fmt.Fscan(prober.Output(), &probes, &held, &seconds); err != nil {
		t.Fatal(err)
	}
	for _, c := range collectors {
		var n int
		c.CloseInput()
		if _, err := fmt.Fscan(c.Output(), &n); err != nil {
			t.Fatal(err)
		}
		c.ended(t) // an absorption that it began included
		scrapes += n
	}
	absorbRest(t, dir)
	now := scrapeOnce(t, dir)
	now.complete(t, "in the end")
	if n := now.samples["started_total"]; n != float64(starts) {
		t.Errorf("%v starts were counted, want %d", n, starts)
	}
	if len(took) == 0 {
		t.Fatal("nobody started")
	}
	slices.Sort(took)
	quantile := func(q float64) time.Duration { return took[int(math.Ceil(q*float64(len(took))))-1] }
	rate := float64(probes) / seconds
	if rate < float64(atLeast) {
		t.Logf("this machine is too busy for %d probes a second", atLeast)
	}
	t.Logf("%d starts in %v under %.0f probes a second, of which %d of %d met a living owner, and %d scrapes: none failed; a start took %v (median), %v (p99), %v at most",
		starts, all.Round(time.Millisecond), rate, held, probes, scrapes, quantile(0.5), quantile(0.99), took[len(took)-1])
}
