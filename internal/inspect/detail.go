package inspect

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
	"github.com/mpmetrics/mpmetrics/internal/reader"
	"github.com/mpmetrics/mpmetrics/internal/scan"
)

// Detail is the content of one file.
type Detail struct {
	Process  *Process
	Families []Definition
	Values   []*Value // of all series, without parts

	// Raw is the content of bbolt's buckets; nil if not readable.
	Raw *reader.Raw
}

// Definition is a family in the file of one process.
type Definition struct {
	*layout.Family
	Series int
	Cells  int // 64-bit words, of all series; mirrored series have no cells
	Kind   string
}

// Detail reads the whole file of a process. Of a damaged file, Detail reads only the header.
func (p *Process) Detail() *Detail {
	d := &Detail{Process: p}
	if !p.remote {
		d.Raw, _ = reader.ReadRaw(p.Path) // the error is already the process's error
	}
	if p.seen.File == nil {
		return d
	}
	for i, f := range p.Definitions {
		d.Families = append(d.Families, Definition{Family: f, Series: p.Series[i], Kind: Kind(f.Type, f.Mode)})
	}
	entries := p.seen.File.Entries()
	for _, e := range entries {
		if !e.Gone && !e.Mirrored {
			d.Families[e.Family].Cells += p.Definitions[e.Family].CellWords()
		}
	}
	m := merge.New()
	h := p.seen.File.Header()
	mb := m.Join(merge.Process{ID: h.ID, Start: h.Start, Label: h.Process, Live: true})
	m.Extend(mb, p.Definitions, scan.Inputs(entries))
	m.Begin()
	m.Add(mb, p.seen.Values)
	for i, n := range p.seen.Natives {
		m.AddNative(mb, i, n)
	}
	for _, f := range m.Families() {
		own := &Family{Name: f.Name, Help: f.Help, Unit: f.Unit, Type: f.Type, Mode: f.Mode, Bounds: f.Bounds, Series: len(f.Series), merged: f}
		for _, s := range f.Series {
			v := &Value{Family: own, Labels: s.Labels, merged: s, Reading: reading(own, s, func() float64 { return m.Counter(s) })}
			if f.Type.Cumulative() {
				v.Created = nanoseconds(s.Created)
			}
			d.Values = append(d.Values, v)
		}
	}
	return d
}

// Top are the values with the largest numbers.
func (d *Detail) Top(n int) []*Value {
	sorted := slices.Clone(d.Values)
	slices.SortStableFunc(sorted, func(a, b *Value) int { return cmp.Compare(b.Number(), a.Number()) })
	return sorted[:min(n, len(sorted))]
}

// ReadFile describes the file of a process at any path, for example in quarantine. ReadFile
// refuses a copy of a file.
func ReadFile(path string) (*Process, error) {
	if _, err := os.Lstat(path); err != nil {
		return nil, err
	}
	name := filepath.Base(path)
	p := &Process{Name: name, Path: path}
	pid, id, err := layout.ParseFileName(name)
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("its name is not that of a process's file, <pid>-<id>" + layout.Extension)}
	}
	p.PID, p.ID = pid, id.String()
	var f *reader.File
	p.Err = scan.Prove(func() (err error) {
		if f != nil {
			f.Close()
		}
		f, err = reader.Open(path)
		if err != nil {
			f = nil
			return err
		}
		p.seen.Live, err = f.Live()
		if err == nil {
			p.seen.Values, err = f.Load()
			p.seen.Natives = f.Natives()
		}
		return err
	})
	if f != nil {
		f.Finish()
		if p.Err == nil {
			p.seen.File = f
		}
	}
	p.describe()
	return p, nil
}
