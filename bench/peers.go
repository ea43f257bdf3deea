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
	program []string // interpreter of the script
	loads   []string // arguments that print the library's version, if the library is installed
	missing string   // how to install the library
	env     []string
	reads   bool // scrapes a directory written by its processes
	forgets bool // forgets the counts of dead processes
}

// peerNode is where make puts prom-client.
const peerNode = "../.cache/node"

var peers = []peer{
	{
		name: "client_python", script: "scrape.py", program: []string{"/usr/bin/python3"}, loads: []string{"-c", "import prometheus_client, importlib.metadata as m; print(m.version('prometheus_client'))"},
		missing: "apt-get install --no-install-recommends python3-prometheus-client", reads: true,
	},
	{
		name: "GitLab mmap", script: "scrape.rb", program: []string{"ruby"}, loads: []string{"-e", `require "prometheus/client"; puts Gem::Specification.find_by_name("prometheus-client-mmap").version`},
		missing: "apt-get install --no-install-recommends ruby-prometheus-client-mmap", reads: true,
	},
	{
		name: "Node prom-client", script: "scrape.js", program: []string{"node"}, loads: []string{"-e", `require("prom-client"); console.log(require("prom-client/package.json").version)`},
		missing: "npm install --prefix .cache/node prom-client@15.1.3", env: []string{"NODE_PATH=" + peerNode + "/node_modules"}, forgets: true,
	},
}

// redisPeer is measured by a benchmark in Go: BenchmarkSlowRedis.
const redisPeer = "Redis HINCRBYFLOAT"

// besideOf is the name, in the results, of mpmetrics' measurements right before and after a peer.
func besideOf(peer string) string { return "mpmetrics beside " + peer }

// times is the time of a peer divided by the time of mpmetrics.
func times(r *results, row, peer string) float64 {
	ours := r.of(row, besideOf(peer), perOperation)
	if len(ours) == 0 {
		ours = r.of(row, "mpmetrics", perOperation)
	}
	return r.of(row, peer, perOperation).median() / ours.median()
}

// peerNames are the names of all peers.
func peerNames() (names []string) {
	for _, p := range peers {
		names = append(names, p.name)
	}
	return append(names, redisPeer)
}

// scraped is the work of a scrape by peers, and the row of mpmetrics with the same work.
type scraped struct {
	what      string // empty: for a plot only
	shape     string
	processes int
	series    int // of each
	dead      int // with ten series each
	row       string
}

// increment is no scrape: increment is the row of the table with the cost of an update.
var increment = scraped{what: "an increment, by label", shape: "inc", row: "Update/op=WithLabelValues(1).Inc/goroutines=1"}

var scrapes = []scraped{
	increment,
	{"scrape, 4 processes × 1000 counters", "counters", 4, 1000, 0, "Scrape/shape=counters/procs=4"},
	{"64 × 1000 counters", "counters", 64, 1000, 0, "Scrape/shape=counters/procs=64"},
	{"256 × 1000 counters", "counters", 256, 1000, 0, "Scrape/shape=counters/procs=256"},
	{"64 × 100 histograms × 10 buckets", "histograms", 64, 100, 0, "Scrape/shape=histograms/procs=64"},
	{"", "counters", 16, 100, 0, "Scrape/shape=counters100/procs=16"},
	{"", "counters", 16, 1000, 0, "Scrape/shape=counters/procs=16"},
	{"", "counters", 16, 10_000, 0, "Scrape/shape=counters10000/procs=16"},
	{"", "counters", 4, 1000, 10, "ScrapeAbsorbed/procs=4/absorbed=10"},
	{"", "counters", 4, 1000, 100, "ScrapeAbsorbed/procs=4/absorbed=100"},
	{"4 × 1000 counters + 1000 dead × 10", "counters", 4, 1000, 1000, "ScrapeAbsorbed/procs=4/absorbed=1000"},
}

// measurePeers adds the times of the peers to the results. measurePeers returns the versions of
// the installed peers, and the missing peers with their installation.
func measurePeers(ctx context.Context, short bool, b *bench) (versions, missing []string, err error) {
	r := b.results
	dir, err := os.MkdirTemp(sharedMemory(), "mpmetrics-peers-")
	if err != nil {
		return nil, nil, err
	}
	defer os.RemoveAll(dir)
	for _, p := range peers {
		version, err := p.command(ctx, p.loads...).Output()
		if err != nil {
			missing = append(missing, fmt.Sprintf("%s (`%s`)", p.name, p.missing))
			continue
		}
		versions = append(versions, p.name+" "+strings.TrimSpace(string(version)))
		for _, s := range scrapes {
			if s.dead > 0 && p.forgets || short && (s.what == "" || s.dead > 0 || s.processes > 64) {
				continue
			}
			fmt.Printf("%s: %s\n", p.name, s.row)
			before, err := b.again(ctx, s.row)
			if err != nil {
				return nil, nil, err
			}
			if err := p.scrape(ctx, dir, s, r); err != nil {
				return nil, nil, err
			}
			after, err := b.again(ctx, s.row)
			if err != nil {
				return nil, nil, err
			}
			r.add("Benchmark"+s.row+"/lib="+besideOf(p.name), perOperation, (before+after)/2)
		}
	}
	if len(r.of(increment.row, redisPeer, perOperation)) == 0 {
		missing = append(missing, redisPeer+" (`apt-get install --no-install-recommends redis-server`)")
	} else if version, err := exec.CommandContext(ctx, "redis-server", "--version").Output(); err == nil {
		versions = append(versions, "Redis "+field(string(version), "v="))
	}
	return versions, missing, nil
}

// field is the rest of the first word with a prefix.
func field(text, prefix string) string {
	for word := range strings.FieldsSeq(text) {
		if value, ok := strings.CutPrefix(word, prefix); ok {
			return value
		}
	}
	return "of an unknown version"
}

// goVersions are the versions of the Go libraries.
func goVersions(ctx context.Context) []string {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Path}} {{.Version}}", "github.com/prometheus/client_golang", "go.etcd.io/bbolt").Output()
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

func (p *peer) command(ctx context.Context, arguments ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, p.program[0], append(p.program[1:], arguments...)...)
	cmd.Env = append(os.Environ(), p.env...)
	return cmd
}

// scrape measures one row of work of the peer.
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
	arguments := []string{script, s.shape, strconv.Itoa(s.processes), strconv.Itoa(s.series), strconv.Itoa(s.dead), strconv.Itoa(peerRounds)}
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
		return fmt.Errorf("%s, %s: %w\n%s", p.name, s.row, err, stderr.Bytes())
	}
	for line := range strings.Lines(string(out)) {
		v, err := strconv.ParseFloat(strings.TrimSpace(line), 64)
		if err != nil {
			return fmt.Errorf("%s, %s: %w", p.name, s.row, err)
		}
		r.add("Benchmark"+s.row+"/lib="+p.name, perOperation, v)
	}
	return nil
}

const peersLegend = `The same work for each: so many processes have counted, and are quiet; one that counts nothing itself collects, merges
and writes text. Node asks its workers by messages, the others read files. Redis sums up in one hash, by a command over
a loopback connection for each increment: a scrape reads the hash however many processes there are, and could not tell
them apart. Our dead have been absorbed; Node forgets what the dead have counted. Medians of ` + "%d" + ` scrapes that follow
one that is not counted, of ours of the rounds above. In brackets is how many times as long as ours, which was measured
once more right before and after each but Redis.
`

// digits is how many of a factor are worth showing.
func digits(factor float64) int {
	if factor < 20 {
		return 1
	}
	return 0
}

// gitlabVerdict compares mpmetrics with the fastest peer, which has a separate target.
func gitlabVerdict(r *results) string {
	const gitlab, target = "GitLab mmap", 10
	var out strings.Builder
	for _, s := range scrapes {
		theirs, ours := r.of(s.row, gitlab, perOperation), r.of(s.row, "mpmetrics", perOperation)
		if s.shape != "counters" || s.processes < 64 || len(theirs) == 0 || len(ours) == 0 {
			continue
		}
		reached := "reached"
		n := times(r, s.row, gitlab)
		if n < target {
			reached = "missed"
		}
		fmt.Fprintf(&out, "%s takes %.1f times as long for %s; the target of %d is %s. ", gitlab, n, s.what, target, reached)
	}
	if out.Len() == 0 {
		return ""
	}
	return strings.TrimSpace(out.String()) + "\n"
}

// reportPeers is the table of the peers.
func reportPeers(r *results, versions, missing []string) string {
	head := append([]string{"", "mpmetrics"}, peerNames()...)
	table := [][]string{head}
	for _, s := range scrapes {
		of := row{name: s.row, unit: perOperation}
		ours := r.of(s.row, "mpmetrics", perOperation)
		if len(ours) == 0 || s.what == "" {
			continue
		}
		cells := []string{s.what, of.quantity(ours)}
		for _, name := range peerNames() {
			cell := ""
			if theirs := r.of(s.row, name, perOperation); len(theirs) > 0 {
				cell = fmt.Sprintf("%s (%.*f ×)", of.quantity(theirs), digits(times(r, s.row, name)), times(r, s.row, name))
			}
			cells = append(cells, cell)
		}
		table = append(table, cells)
	}
	var out strings.Builder
	out.WriteString("\n## Beside libraries for several processes in other languages\n\n")
	align(&out, table)
	out.WriteString("\n" + gitlabVerdict(r))
	for _, p := range plots {
		fmt.Fprintf(&out, "\n![%s](%s)\n", p.title, p.file)
	}
	fmt.Fprintf(&out, "\n"+peersLegend, peerRounds)
	if len(versions) > 0 {
		fmt.Fprintf(&out, "\nVersions: %s.\n", strings.Join(versions, ", "))
	}
	if len(missing) > 0 {
		fmt.Fprintf(&out, "\nMissing on this machine: %s.\n", strings.Join(missing, ", "))
	}
	return out.String()
}
