package reader

import (
	"cmp"
	"io/fs"
	"slices"

	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/table"
)

// Raw is what bbolt holds of a file, for who explains or repairs one.
type Raw struct {
	Header      *layout.Header
	Bytes       int64 // of the file
	PageSize    int
	Pages       uint64            // below the high-water mark; what is beyond was never used
	Transaction uint64            // the newest
	TreePages   int               // that are reachable, slabs apart
	Slabs       []RawSlab         // by number
	Mirrored    map[string][]byte // by name of the family
	Exemplars   map[string][]byte // likewise
}

// RawSlab is where a slab is.
type RawSlab struct {
	layout.SlabHeader
	Offset int64 // in the file
}

// SlabPages is how many pages the slabs take.
func (r *Raw) SlabPages() (n int) {
	for _, s := range r.Slabs {
		n += (int(s.Bytes) + layout.ValueOffset) / r.PageSize
	}
	return n
}

// ReadRaw reads what bbolt holds of a file, and nothing of the log or the cells. Any
// file will do: a copy, or one in quarantine.
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
