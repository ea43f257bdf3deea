package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mpmetrics/mpmetrics/internal/inspect"
	"github.com/mpmetrics/mpmetrics/internal/layout"
)

func (e *environment) show() *cobra.Command {
	var (
		rawToo bool
		limit  int
	)
	cmd := &cobra.Command{
		Use:   "show FILE|PID",
		Short: "Show one process: header, families with kind and mode, the largest series",
		Long: `Show one process, by its pid or its file: its header, its families with
kind and mode, and its series with the largest values. A file may be anywhere, in
quarantine too; of a damaged file show shows the header, if readable.

With --raw also the raw file: buckets, slabs with their offsets, and what the pages
are used for. internal/layout/layout.go of the sources draws the format.`,
		Example: "  mpmetrics-inspect show 4711\n  mpmetrics-inspect show --raw /dev/shm/shop/mpmetrics/quarantine/4711-….mpm",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			if limit < 0 {
				return usagef("--top %d: want at least 0", limit)
			}
			p, end, err := e.process(args[0])
			if err != nil {
				return err
			}
			defer end()
			d := p.Detail()
			if e.format == jsonFormat {
				err = writeJSON(e.stdout, jsonDetailOf(d, rawToo))
			} else {
				e.writeDetail(d, limit, rawToo)
			}
			if err != nil || p.Err == nil {
				return err
			}
			return e.report(p.Problems())
		},
	}
	cmd.ValidArgsFunction = e.completeProcesses
	cmd.Flags().BoolVar(&rawToo, "raw", false, "buckets, slabs with offsets, use of pages")
	cmd.Flags().IntVarP(&limit, "top", "n", 10, "so many series, those with the largest values")
	e.outputFlag(cmd, tableFormat, jsonFormat)
	return cmd
}

// process finds a process by its pid or file, in the directory or at a path.
func (e *environment) process(name string) (p *inspect.Process, end func(), err error) {
	if strings.ContainsRune(name, os.PathSeparator) {
		p, err = inspect.ReadFile(name)
		return p, func() {}, err
	}
	i, s, err := e.read()
	if err != nil {
		return nil, nil, err
	}
	if p, err = s.Process(name); err == nil {
		return p, i.Close, nil
	}
	i.Close()
	if _, statErr := os.Lstat(name); statErr == nil {
		p, err = inspect.ReadFile(name)
		return p, func() {}, err
	}
	return nil, nil, hinted{err, "mpmetrics-inspect ls --wide lists pids and files; absorbed counts are in the archive only"}
}

type jsonDetail struct {
	Version  int              `json:"version"`
	Kind     string           `json:"kind"`
	Process  jsonProcess      `json:"process"`
	Boot     string           `json:"boot_id"`
	Families []jsonDefinition `json:"families"`
	Series   []jsonOwnSeries  `json:"series"`
	Raw      *jsonRaw         `json:"raw,omitempty"`
	Problems []jsonProblem    `json:"problems"`
}

type jsonDefinition struct {
	Name        string            `json:"name"`
	Help        string            `json:"help"`
	Unit        string            `json:"unit,omitempty"`
	Type        string            `json:"type"`
	Mode        string            `json:"mode,omitempty"`
	Labels      []string          `json:"labels"`
	ConstLabels map[string]string `json:"const_labels"`
	Bounds      []float64         `json:"bounds,omitempty"`
	Series      int               `json:"series"`
	Cells       int               `json:"cells"`
}

type jsonOwnSeries struct {
	Name    string            `json:"name"`
	Labels  map[string]string `json:"labels"`
	Created *time.Time        `json:"created"`
	jsonReading
}

type jsonRaw struct {
	PageSize      int            `json:"page_size"`
	Transaction   uint64         `json:"transaction"`
	PagesFile     int64          `json:"pages_file"`
	PagesUsed     uint64         `json:"pages_below_mark"`
	PagesTree     int            `json:"pages_tree"`
	PagesSlabs    int            `json:"pages_slabs"`
	LogGeneration uint32         `json:"log_generation"`
	Slabs         []jsonSlab     `json:"slabs"`
	Mirrored      map[string]int `json:"mirrored_bytes"`
	Exemplars     map[string]int `json:"exemplar_bytes"`
}

type jsonSlab struct {
	Number     uint32 `json:"number"`
	Kind       string `json:"kind"`
	Generation uint32 `json:"generation"`
	Offset     int64  `json:"offset"`
	Bytes      uint64 `json:"bytes"`
}

func jsonDetailOf(d *inspect.Detail, raw bool) jsonDetail {
	p := d.Process
	j := jsonDetail{
		Version: jsonVersion, Kind: "show", Process: jsonProcessOf(p, time.Now()), Boot: p.BootID,
		Families: []jsonDefinition{}, Series: []jsonOwnSeries{}, Problems: jsonProblemsOf(p.Problems()),
	}
	for _, f := range d.Families {
		def := jsonDefinition{
			Name: f.Name, Help: f.Help, Unit: f.Unit, Type: f.Type.String(), Labels: append([]string{}, f.LabelNames...),
			ConstLabels: jsonLabels(f.ConstLabels), Bounds: f.Bounds, Series: f.Series, Cells: f.Cells,
		}
		if f.Mode.Valid() {
			def.Mode = f.Mode.String()
		}
		j.Families = append(j.Families, def)
	}
	for _, v := range d.Values {
		j.Series = append(j.Series, jsonOwnSeries{v.Family.Name, jsonLabels(v.Labels), jsonTime(v.Created), jsonReadingOf(v.Family, &v.Reading)})
	}
	if r := d.Raw; raw && r != nil {
		j.Raw = &jsonRaw{
			PageSize: r.PageSize, Transaction: r.Transaction, PagesFile: r.Bytes / int64(r.PageSize), PagesUsed: r.Pages,
			PagesTree: r.TreePages, PagesSlabs: r.SlabPages(), LogGeneration: r.Header.Generation, Mirrored: lengths(r.Mirrored), Exemplars: lengths(r.Exemplars),
		}
		for _, s := range r.Slabs {
			j.Raw.Slabs = append(j.Raw.Slabs, jsonSlab{s.Number, s.Kind.String(), s.Generation, s.Offset, s.Bytes})
		}
	}
	return j
}

func lengths(values map[string][]byte) map[string]int {
	m := map[string]int{}
	for name, v := range values {
		m[name] = len(v)
	}
	return m
}

func (e *environment) writeDetail(d *inspect.Detail, limit int, raw bool) {
	p := d.Process
	e.writeHeader(p)
	if len(d.Families) > 0 {
		g := &grid{columns: []column{{name: "family"}, {name: "type"}, {name: "series", right: true}, {name: "labels"}, {name: "help"}}}
		for _, f := range d.Families {
			g.add(escaped(f.Name), plain(f.Kind), number(f.Series), escaped(strings.Join(labelNames(f.Family), ", ")), plain(shorten(inspect.Escape(f.Help))))
		}
		fmt.Fprintln(e.stdout)
		g.table(e.stdout, e.colors())
	}
	if top := d.Top(limit); len(top) > 0 {
		fmt.Fprintf(e.stdout, "\nthe largest of %d series\n", len(d.Values))
		g := &grid{columns: []column{{name: "value", right: true}, {name: "series"}}}
		for _, v := range top {
			g.add(plain(readingText(&v.Reading)), plain(v.Series()))
		}
		g.table(e.stdout, e.colors())
	}
	if raw {
		e.writeRaw(d)
	}
}

func labelNames(f *layout.Family) []string {
	names := slices.Clone(f.LabelNames)
	for _, l := range f.ConstLabels {
		names = append(names, l.Name+"="+l.Value)
	}
	return names
}

// writeHeader shows the header of a file.
func (e *environment) writeHeader(p *inspect.Process) {
	line := func(name, value string) { fmt.Fprintf(e.stdout, "%-10s %s\n", name, value) }
	line("file", inspect.Escape(p.Path))
	line("state", e.colored(stateColor(p.State), string(p.State)))
	line("pid", fmt.Sprint(p.PID))
	line("id", p.ID)
	if p.Format == 0 {
		return
	}
	line("program", inspect.Escape(p.Program))
	line("host", inspect.Escape(p.Host))
	line("process", inspect.Escape(p.Label))
	line("started", moment(p.Start).human+", "+inspect.HumanDuration(time.Since(p.Start))+" ago")
	boot := "of this boot of the machine"
	if p.OtherBoot() {
		boot = "of an earlier boot of the machine"
	}
	line("boot", inspect.Escape(p.BootID)+", "+boot)
	line("format", fmt.Sprintf("version %d", p.Format))
	line("size", inspect.HumanSize(p.Bytes))
	line("series", fmt.Sprintf("%d, %d of them mirrored", p.SeriesTotal(), p.Mirrored))
}

// writeRaw shows the content of bbolt's buckets.
func (e *environment) writeRaw(d *inspect.Detail) {
	r := d.Raw
	if r == nil {
		fmt.Fprintln(e.stdout, "\nwhat bbolt holds cannot be read")
		return
	}
	pages := r.Bytes / int64(r.PageSize)
	free := int64(r.Pages) - 2 - int64(r.TreePages) - int64(r.SlabPages())
	fmt.Fprintf(e.stdout, "\n%d pages of %d bytes, transaction %d, log generation %d\n", pages, r.PageSize, r.Transaction, r.Header.Generation)
	fmt.Fprintf(e.stdout, "2 of them metas, %d buckets, %d slabs, %d free or the list of those, %d never used\n", r.TreePages, r.SlabPages(), free, pages-int64(r.Pages))
	g := &grid{columns: []column{{name: "slab", right: true}, {name: "kind"}, {name: "generation", right: true}, {name: "offset", right: true}, {name: "page", right: true}, {name: "pages", right: true}, {name: "bytes", right: true}}}
	for _, s := range r.Slabs {
		g.add(number(int(s.Number)), plain(s.Kind.String()), number(int(s.Generation)), plain(fmt.Sprintf("%#x", s.Offset)),
			number(s.Offset/int64(r.PageSize)), number((int(s.Bytes)+layout.ValueOffset)/r.PageSize), number(s.Bytes))
	}
	fmt.Fprintln(e.stdout)
	g.table(e.stdout, e.colors())
	buckets := &grid{columns: []column{{name: "bucket"}, {name: "key"}, {name: "bytes", right: true}}}
	buckets.add(plain(layout.HeaderBucket), plain(layout.HeaderKey), number(len(r.Header.Encode())))
	for _, b := range []struct {
		name   string
		values map[string][]byte
	}{{layout.MirrorBucket, r.Mirrored}, {layout.ExemplarBucket, r.Exemplars}} {
		for _, key := range slices.Sorted(maps.Keys(b.values)) {
			buckets.add(plain(b.name), escaped(key), number(len(b.values[key])))
		}
	}
	fmt.Fprintln(e.stdout)
	buckets.table(e.stdout, e.colors())
	if d.Process.Err == nil {
		g := &grid{columns: []column{{name: "buckets_of"}, {name: "le", right: true}, {name: "count", right: true}}}
		for _, v := range d.Values {
			for i, n := range inspect.Cumulative(v.Buckets) {
				g.add(plain(v.Series()), plain(inspect.BoundText(v.Family.Bounds, i)), number(n))
			}
		}
		if len(g.rows) > 0 {
			fmt.Fprintln(e.stdout)
			g.table(e.stdout, e.colors())
		}
	}
}
