package reader

import (
	"encoding/binary"

	"github.com/mpmetrics/mpmetrics/internal/cell"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/mapped"
)

// metasStand reports whether both meta pages are those of the snapshot that was
// accepted: nothing was committed since. It looks at them through a mapping, most
// files being as they were, and so spares two system calls for each. In doubt it
// reports false, and the pages are read.
func (r *File) metasStand() bool {
	if r.accepted.pageSize == 0 || !mapped.SeesWrites {
		return false
	}
	if r.region == nil {
		region, err := mapped.Read(r.f.FD(), r.path, 0, r.accepted.pageSize+metaRegionBytes)
		if err != nil {
			return false
		}
		r.region = region
	}
	stand := true
	err := mapped.Guard(func() error {
		for i := range r.accepted.regions {
			known := r.accepted.regions[i][:]
			words := cell.Words(r.region.Bytes[i*r.accepted.pageSize:][:metaRegionBytes])
			for j := range words {
				stand = stand && words[j].Load() == binary.NativeEndian.Uint64(known[j*layout.WordBytes:])
			}
		}
		return nil
	})
	return err == nil && stand
}

func (r *File) unmapMetas() {
	if r.region != nil {
		r.region.Unmap()
		r.region = nil
	}
}
