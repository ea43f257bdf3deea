package reader

import (
	"fmt"

	"github.com/mpmetrics/mpmetrics/internal/table"
)

// takeMirrored takes the mirrored families of a snapshot.
func (r *File) takeMirrored(found []table.Mirrored) error {
	err := r.table.TakeMirrored(found)
	r.makeRoom()
	if err == nil && r.table.MirroredGone() > table.MaxLeft {
		err = fmt.Errorf("%d mirrored series are deleted: %w", r.table.MirroredGone(), ErrReplaced)
	}
	return err
}
