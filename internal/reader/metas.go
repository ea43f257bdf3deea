package reader

import (
	"encoding/binary"

	"github.com/mpmetrics/mpmetrics/internal/cell"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/mapped"
)

// unchanged reports whether both meta pages are the pages of the accepted snapshot, and the log
// ends at the cursor: then only the cells have to be read. Most files are unchanged, and a mapping
// of the pages saves two system calls for each file. In doubt unchanged returns false.
func (r *File) unchanged() bool {
	if r.log.slab == nil {
		return false
	}
	if r.metas == nil {
		region, err := mapped.Read(r.f.FD(), r.path, 0, r.accepted.pageSize+metaRegionBytes)
		if err != nil {
			return false
		}
		r.metas = region
	}
	same := false
	err := r.guard(func() error {
		same = r.metasStand() && r.logEnds()
		return nil
	})
	return err == nil && same
}

// metasStand reports whether the mapped meta pages are the accepted meta pages. Call metasStand
// under guard.
func (r *File) metasStand() bool {
	for i := range r.accepted.regions {
		known := r.accepted.regions[i][:]
		words := cell.Words(r.metas.Bytes[i*r.accepted.pageSize:][:metaRegionBytes])
		for j := range words {
			if words[j].Load() != binary.NativeEndian.Uint64(known[j*layout.WordBytes:]) {
				return false
			}
		}
	}
	return true
}

// logEnds reports whether no record was appended since the last reading. Call logEnds under guard.
func (r *File) logEnds() bool {
	word := r.log.slab.words[r.log.position/layout.WordBytes].Load()
	return layout.RecordLength(word) == 0
}

func (r *File) unmapMetas() {
	if r.metas != nil {
		r.metas.Unmap()
		r.metas = nil
	}
}
