//go:build unix

package browser

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/mpmetrics/mpmetrics/internal/testing/testdir"
)

const (
	processes = 50
	families  = 500
)

// view is one way to look at the page.
type view struct {
	name   string
	width  int64
	scheme string
}

var views = []view{
	{name: "desktop, light", width: 1280, scheme: "light"},
	{name: "desktop, dark", width: 1280, scheme: "dark"},
	{name: "phone, light", width: 390, scheme: "light"},
	{name: "phone, dark", width: 390, scheme: "dark"},
}

// The page is read by people at any width and in the dark, with many processes and families, one of them with labels that
// want to be run; and it shows what has changed by itself. Set MPMETRICS_TEST_SCREENSHOTS to a directory to look at it.
func TestPageInChromium(t *testing.T) {
	if testing.Short() {
		t.Skip("starts 50 processes and a browser")
	}
	dir := testdir.New(t)
	sidecar := startSidecar(t, dir)
	workers := startWorkers(t, dir, processes)
	allocator, stop := chromedp.NewExecAllocator(context.Background(), browserOptions(t)...)
	t.Cleanup(stop)
	for _, v := range views {
		t.Run(v.name, func(t *testing.T) {
			tab := open(t, allocator, v)
			tab.navigate(sidecar + "/")
			tab.wait("all processes and families are there", fmt.Sprintf(
				`document.querySelectorAll('.state.live').length === %d && document.querySelectorAll('td.name a').length >= %d`, processes, families))
			tab.check("nothing is wider than the page", `document.documentElement.scrollWidth <= innerWidth`)
			tab.check("no label was taken for HTML", `document.querySelectorAll('main script, main img').length === 0 && !('ran' in window)`)
			tab.check("the ground is as dark as asked for", fmt.Sprintf(
				`(getComputedStyle(document.body).backgroundColor.match(/\d+/g)[0] < 100) === %v`, v.scheme == "dark"))
			tab.wait("the chart has lines", `document.querySelectorAll('svg.chart path').length > 0 && document.querySelector('svg.chart path').getTotalLength() > 0`)
			tab.screenshot("overview")

			// What changes is seen without a hand.
			before := tab.number(`Number(document.querySelectorAll('.cards b')[4].textContent)`)
			workers[0].Tell("more")
			tab.wait("a new series comes by itself", fmt.Sprintf(`Number(document.querySelectorAll('.cards b')[4].textContent) > %v`, before))

			tab.navigate(sidecar + "/family?name=hostile_total")
			tab.wait("the values of a label that wants to be run", `document.querySelector('main').textContent.includes("alert(1)")`)
			tab.check("it did not run", `document.querySelectorAll('main script, main img').length === 0 && !('ran' in window)`)
			tab.check("nothing is wider than the page of a family", `document.documentElement.scrollWidth <= innerWidth`)
			tab.wait("its chart", `document.querySelectorAll('svg.chart path').length > 0`)
			tab.screenshot("family")

			tab.navigate(sidecar + "/")
			tab.click("td.right a")
			tab.wait("the page of a process", `document.querySelector('main').textContent.includes("label process")`)
			tab.screenshot("process")
			tab.quiet()
		})
	}
	// One of them is killed: its state changes, and what it counted stays.
	t.Run("killed", func(t *testing.T) {
		tab := open(t, allocator, views[0])
		tab.navigate(sidecar + "/")
		tab.wait("all live", fmt.Sprintf(`document.querySelectorAll('.state.live').length === %d`, processes))
		workers[1].Kill()
		tab.wait("one less, and absorbed", fmt.Sprintf(
			`document.querySelectorAll('.state.live').length === %d && document.querySelectorAll('.cards b')[2].textContent === "1" && document.body.textContent.includes("Recent absorptions")`, processes-1))
		tab.screenshot("absorbed")
		tab.quiet()
	})
}

func browserOptions(t *testing.T) []chromedp.ExecAllocatorOption {
	t.Helper()
	o := append([]chromedp.ExecAllocatorOption{}, chromedp.DefaultExecAllocatorOptions[:]...)
	for _, flag := range []string{"disable-quic", "disable-background-networking", "disable-component-update", "disable-sync"} {
		o = append(o, chromedp.Flag(flag, true))
	}
	return append(o, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()), chromedp.ExecPath(findChromium(t)))
}

// tab is a page of the browser.
type tab struct {
	t     *testing.T
	ctx   context.Context
	view  view
	heard chan string // what the console says
}

func open(t *testing.T, allocator context.Context, v view) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx, view: v, heard: make(chan string, 1000)}
	b.do(chromedp.EmulateViewport(v.width, 900), chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: v.scheme}},
		})
		return err
	}))
	messages := chromedp.Console(ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			b.heard <- m.String()
		}
	}()
	return b
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

func (b *tab) navigate(url string) {
	b.t.Helper()
	b.do(chromedp.Navigate(url))
}

// click clicks an element. The page writes its rows anew by itself: the node that was found may be
// gone before the click, and then the next one is found.
func (b *tab) click(selector string) {
	b.t.Helper()
	const tries = 20
	var err error
	for range tries {
		err = chromedp.Do(b.ctx, chromedp.Click(chromedp.CSS(selector)))
		if err == nil || !strings.Contains(err.Error(), "Could not find node") {
			break
		}
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *tab) number(expression string) float64 {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[float64](expression))
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

func (b *tab) holds(expression string) bool {
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](expression))
	return err == nil && v
}

// check is for what holds at once.
func (b *tab) check(what, expression string) {
	b.t.Helper()
	if !b.holds(expression) {
		b.t.Errorf("%s: not so: %s", what, expression)
	}
}

// wait is for what comes by itself.
func (b *tab) wait(what, expression string) {
	b.t.Helper()
	for limit := time.Now().Add(time.Minute); !b.holds(expression); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(limit) {
			b.screenshot("failed")
			b.t.Fatalf("waited in vain: %s: %s", what, expression)
		}
	}
}

// quiet fails for anything that the console has said, and if the console cannot be heard.
func (b *tab) quiet() {
	b.t.Helper()
	const last = "the test listens"
	b.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Run(ctx, chromedp.Evaluate[any](fmt.Sprintf("console.error(%q)", last)))
		return err
	}))
	for {
		select {
		case line := <-b.heard:
			if strings.Contains(line, last) {
				return
			}
			b.t.Errorf("console: %s", line)
		case <-b.ctx.Done():
			b.t.Fatal("the console is not heard")
		}
	}
}

// screenshot keeps a picture for people.
func (b *tab) screenshot(name string) {
	b.t.Helper()
	to := os.Getenv("MPMETRICS_TEST_SCREENSHOTS")
	if to == "" {
		return
	}
	picture, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err == nil {
		name = strings.NewReplacer(", ", "-", " ", "-").Replace(b.view.name + "-" + name + ".png")
		err = os.WriteFile(filepath.Join(to, name), picture, 0o600)
	}
	if err != nil {
		b.t.Error(err)
	}
}
