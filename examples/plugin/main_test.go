//go:build unix

package main

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/mpmetrics/mpmetrics/examples/internal/child"
	"github.com/mpmetrics/mpmetrics/internal/testing/promtest"
	"github.com/mpmetrics/mpmetrics/internal/testing/testdir"
)

func TestMain(m *testing.M) { child.Main(m, main) }

// pid reads the line in which the host says that a plugin runs.
func pid(t *testing.T, host *child.Process, name string) (pid int) {
	t.Helper()
	if line := host.Line(); func() bool { n, _ := fmt.Sscanf(line, name+" %d", &pid); return n != 1 }() {
		t.Fatalf("%q, want the pid of %s", line, name)
	}
	return pid
}

// What plugins count is told apart by their label, and stays when one of them is killed and started again.
func TestPluginsCountBesideEachOther(t *testing.T) {
	host := child.Start(t, testdir.New(t), "-listen", "127.0.0.1:0")
	resize := pid(t, host, "resize")
	pid(t, host, "crop")
	url := host.Line()
	do := func(path string, n int) {
		t.Helper()
		for range n {
			if _, err := promtest.Get(url + "/do/" + path); err != nil {
				t.Fatal(err)
			}
		}
	}
	check := func(what string, want map[string]float64) {
		t.Helper()
		text := promtest.Scrape(t, url+"/metrics")
		for name, v := range want {
			if got := promtest.Sample(text, name); got != v {
				t.Errorf("%s: %s is %v, want %v", what, name, got, v)
			}
		}
	}
	do("resize?seconds=0.5", 5)
	do("crop", 3)
	if _, err := promtest.Get(url + "/do/crop?seconds=-1"); err == nil {
		t.Error("a task that cannot be done was done")
	}
	check("both run", map[string]float64{
		`image_tasks_total{plugin="resize",result="success"}`: 5,
		`image_tasks_total{plugin="crop",result="success"}`:   3,
		`image_tasks_total{plugin="crop",result="failure"}`:   1,
		`image_task_seconds_bucket{plugin="resize",le="0.1"}`: 0,
		`image_task_seconds_bucket{plugin="resize",le="1"}`:   5,
		`image_plugins{plugin="resize"}`:                      1,
		`image_plugins{plugin="crop"}`:                        1,
	})
	// Nothing is lost at SIGKILL, so nobody waits for a flush.
	if err := syscall.Kill(resize, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	promtest.Eventually(t, "the gauge of a dead plugin leaves", func() bool {
		return promtest.Sample(promtest.Scrape(t, url+"/metrics"), `image_plugins{plugin="resize"}`) == -1
	})
	check("one was killed", map[string]float64{
		`image_tasks_total{plugin="resize",result="success"}`: 5, `image_task_seconds_count{plugin="resize"}`: 5, `image_plugins{plugin="crop"}`: 1,
	})
	promtest.Eventually(t, "the host starts it again", func() bool {
		_, err := promtest.Get(url + "/do/resize")
		return err == nil
	})
	if again := pid(t, host, "resize"); again == resize {
		t.Error("it is the same process")
	}
	check("it runs again", map[string]float64{
		`image_tasks_total{plugin="resize",result="success"}`: 6, `image_plugins{plugin="resize"}`: 1,
	})
}
