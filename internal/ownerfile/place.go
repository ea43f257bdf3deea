package ownerfile

import "sync/atomic"

// Place says where one series stands. Package owner fills a Place in; a Place is a part of
// each series, because a new series would cost one more allocation otherwise.
type Place struct {
	// Home is the file in which the series is published, nil for none. Written under the
	// lock of the file, and by the background work of package owner.
	Home atomic.Pointer[File]

	// Run are the cells in Home, and Recorded says that the log has the gone record of
	// the series already, before the record of the series that replaced it. Guarded by
	// the lock of package owner.
	Run      Run
	Recorded bool

	// Share says that the series is to be a share: at once in Home, or when the series gets
	// its cells. Guarded by the lock of package owner.
	Share bool

	// Waits is the number of an instrument on the heap among those that wait for room, 0 if the
	// instrument does not wait. Guarded by the lock of package owner.
	Waits uint64
}

// Record is the number of a family record plus one, 0 while the file has no such record.
type Record uint32
