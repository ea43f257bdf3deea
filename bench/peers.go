package main

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// peerRounds is how often a peer is scraped.
const peerRounds = 9

//go:embed peers
var peerScripts embed.FS

// peer is another library for several processes, in another language.
type peer struct {
	name    string
	script  string
	program []string // that runs the script
	loads   []string // arguments with which it says whether the library is there
	missing string   // how to get it
	env     []string
	reads   bool // a directory that its processes have written
}

// peerNode is where make puts prom-client.
const peerNode = "../.cache/node"

var peers = []peer{
	{
		name: "client_python", script: "scrape.py", program: []string{"/usr/bin/python3"}, loads: []string{"-c", "import prometheus_client"},
		missing: "apt-get install --no-install-recommends python3-prometheus-client", reads: true,
	},
	{
		name: "GitLab mmap", script: "scrape.rb", program: []string{"ruby"}, loads: []string{"-e", `require "prometheus/client"`},
		missing: "apt-get install --no-install-recommends ruby-prometheus-client-mmap", reads: true,
	},
	{
		name: "Node prom-client", script: "scrape.js", program: []string{"node"}, loads: []string{"-e", `require("prom-client")`},
		missing: "npm install --prefix .cache/node prom-client@15.1.3", env: []string{"NODE_PATH=" + peerNode + "/node_modules"},
	},
}

// scraped is what peers are scraped of, and the row of ours that does the same.
type scraped struct {
	what      string
	shape     string
	processes int
	row       string
}

var scrapes = []scraped{
	{"4 processes × 1000 counters", "counters", 4, "Scrape/shape=counters/procs=4"},
	{"64 × 1000 counters", "counters", 64, "Scrape/shape=counters/procs=64"},
	{"256 × 1000 counters", "counters", 256, "Scrape/shape=counters/procs=256"},
	{"64 × 100 histograms × 10 buckets", "histograms", 64, "Scrape/shape=histograms/procs=64"},
}

// measurePeers adds what the peers take to the results, and returns which are missing,
// and how to get them.
func measurePeers(ctx context.Context, r *results) (missing []string, err error) {
	dir, err := os.MkdirTemp(sharedMemory(), "mpmetrics-peers-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	for _, p := range peers {
		if err := p.command(ctx, p.loads...).Run(); err != nil {
			missing = append(missing, fmt.Sprintf("%s (`%s`)", p.name, p.missing))
			continue
		}
		for _, s := range scrapes {
			fmt.Printf("%s: %s\n", p.name, s.what)
			if err := p.scrape(ctx, dir, s, r); err != nil {
				return nil, err
			}
		}
	}
	return missing, nil
}

func (p *peer) command(ctx context.Context, arguments ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, p.program[0], append(p.program[1:], arguments...)...)
	cmd.Env = append(os.Environ(), p.env...)
	return cmd
}

// scrape lets the peer do one row of work.
func (p *peer) scrape(ctx context.Context, dir string, s scraped, r *results) error {
	text, err := peerScripts.ReadFile("peers/" + p.script)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp(dir, "")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	script := filepath.Join(work, p.script)
	if err := os.WriteFile(script, text, 0o600); err != nil {
		return err
	}
	arguments := []string{script, s.shape, strconv.Itoa(s.processes), strconv.Itoa(peerRounds)}
	if p.reads {
		files := filepath.Join(work, "files")
		if err := os.Mkdir(files, 0o700); err != nil {
			return err
		}
		arguments = append(arguments, files)
	}
	cmd := p.command(ctx, arguments...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s, %s: %w\n%s", p.name, s.what, err, stderr.Bytes())
	}
	for line := range strings.Lines(string(out)) {
		v, err := strconv.ParseFloat(strings.TrimSpace(line), 64)
		if err != nil {
			return fmt.Errorf("%s, %s: %w", p.name, s.what, err)
		}
		r.add("Benchmark"+s.row+"/lib="+p.name, perOperation, v)
	}
	return nil
}

const peersLegend = `The same work for each: so many processes have counted, and are quiet; one that counts nothing itself collects, merges
and writes text. Node asks its workers by messages, the others read files. Medians of ` + "%d" + ` scrapes that follow one that
is not counted, of ours of the rounds above; in brackets how many times as long as ours.
`

// reportPeers is the table of the peers.
func reportPeers(r *results, missing []string) string {
	head := []string{"scrape", "mpmetrics"}
	for _, p := range peers {
		head = append(head, p.name)
	}
	table := [][]string{head}
	for _, s := range scrapes {
		of := row{name: s.row, unit: perOperation}
		ours := r.of(s.row, "mpmetrics", perOperation)
		if len(ours) == 0 {
			continue
		}
		cells := []string{s.what, of.quantity(ours)}
		for _, p := range peers {
			cell := "missing"
			if theirs := r.of(s.row, p.name, perOperation); len(theirs) > 0 {
				cell = fmt.Sprintf("%s (%.0f ×)", of.quantity(theirs), theirs.median()/ours.median())
			}
			cells = append(cells, cell)
		}
		table = append(table, cells)
	}
	var out strings.Builder
	out.WriteString("\n## Beside libraries for several processes in other languages\n\n")
	align(&out, table)
	fmt.Fprintf(&out, "\n![Time of a scrape against processes](%s)\n\n"+peersLegend, plotFile, peerRounds)
	if len(missing) > 0 {
		fmt.Fprintf(&out, "\nMissing on this machine: %s.\n", strings.Join(missing, ", "))
	}
	return out.String()
}
