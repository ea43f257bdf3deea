package reader

import (
	"cmp"
	"io/fs"
	"slices"

	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/table"
)

// Raw is the bbolt content of a file, for explanation and repair.
type Raw struct {
	Header      *layout.Header
	Bytes       int64 // of the file
	PageSize    int
	Pages       uint64            // below the high-water mark; pages beyond were never used
	Transaction uint64            // number of the newest transaction
	TreePages   int               // reachable pages without slabs
	Slabs       []RawSlab         // by number
	Mirrored    map[string][]byte // by name of the family
	Exemplars   map[string][]byte // likewise
}

// RawSlab is the place of a slab.
type RawSlab struct {
	layout.SlabHeader
	Offset int64 // in the file
}

// SlabPages returns the number of pages that the slabs take.
func (r *Raw) SlabPages() (n int) {
	for _, s := range r.Slabs {
		n += (int(s.Bytes) + layout.ValueOffset) / r.PageSize
	}
	return n
}

// ReadRaw reads the bbolt content of a file, without the log and the cells. The file may also be a
// copy, or a file in quarantine.
func ReadRaw(path string) (*Raw, error) {
	f, st, err := directory.OpenFile(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s, err := readSnapshot(f, metas{})
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: path, Err: err}
	}
	newest, err := s.metas.newest()
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: path, Err: err}
	}
	r := &Raw{
		Header: s.header, Bytes: st.Size, PageSize: newest.pageSize, Pages: newest.pages, Transaction: newest.txid,
		TreePages: s.pages, Mirrored: valuesOf(s.mirror), Exemplars: valuesOf(s.exemplars),
	}
	for _, p := range s.slabs {
		r.Slabs = append(r.Slabs, RawSlab{p.header, p.offset})
	}
	slices.SortFunc(r.Slabs, func(a, b RawSlab) int { return cmp.Compare(a.Number, b.Number) })
	return r, nil
}

func valuesOf(all []table.Mirrored) map[string][]byte {
	m := make(map[string][]byte, len(all))
	for _, v := range all {
		m[v.Name] = v.Value
	}
	return m
}
