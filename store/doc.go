// Package store is the process side of mpmetrics: the instruments of
// client_golang, counting into a file that other processes read.
//
// For most programs two steps are enough: make metrics with this package
// instead of promauto,
//
//	var requests = store.NewCounterVec(prometheus.CounterOpts{
//		Name: "http_requests_total", Help: "Requests served.",
//	}, []string{"code"})
//
// and set MPMETRICS_DIR to a directory that all processes of the service
// share. With nothing set the same program keeps plain in-process metrics.
// Package collector shows either.
//
// # Who does what
//
// The owner, the process that made a file, adds to cells in mapped memory: one
// atomic instruction, no system call, no lock of another process. A scraper, in
// any process, loads the cells. Nobody waits for anybody.
//
// # What survives what
//
//	                          | value of a series      | new series             | the total of all
//	SIGKILL, panic, OOM kill  | every update that      | every series whose     | complete
//	                          | returned               | constructor returned*  |
//	disk full, EIO, ENOMEM,   | goes on in its cells   | in memory, published   | complete but for what
//	EMFILE, read-only remount |                        | when there is room     | is in memory
//	file or directory removed | goes on; in a new file | the same               | complete but for that
//	under its process         | within a second        |                        | second
//	process started while the | in memory, published   | the same               | the same
//	directory is unusable     | when it is usable      |                        |
//	machine crash, power cut  | lost on tmpfs; on disk | the same               | anew, unless all of it
//	                          | what the kernel wrote  |                        | was in the archive [1]
//
// * A burst of some hundred new series, one right after the other, can be faster
// than the background work that makes room for them. Those it overtakes are kept
// in memory until the room is there: a fraction of a millisecond, or some more
// when every core is busy.
//
// [1] And the archive is on a disk: see package compact, which also says what
// becomes of processes that have ended.
//
// No error of the file system reaches an instrument: updates neither block nor
// fail. One thing can end the process: somebody cuts its file short, and an update
// reaches for what is gone before the background work, which looks once a second,
// has noticed. A published file is readable only, also for its owner's user, so
// that takes root, or a chmod on purpose.
//
// A process that a C library forked without exec refuses to write into the file of its
// parent: Go does not support such a process. Its increments of counters and gauges that
// exist may count for the parent; its other updates count on the heap, for no reader.
//
// # On a server
//
// With MPMETRICS_URL, and package store/redis imported, values are words on the heap:
// updates cost what they cost in a file. Each Opts.FlushInterval what has changed is
// sent, so that SIGKILL loses what was counted since; Close, at the end of a process,
// loses nothing. No update waits for the server. What it does not get in time, it
// gets with a later flush, and everything when it has lost what it had.
//
// # Deletion
//
// Vecs are client_golang's own, and say nothing when a series is deleted. The
// background work looks each second, or after twenty times as long as a look
// takes, ten seconds at most. Then the share of this process is no longer in the
// merged output; those of other processes are, and those of the dead. A counter
// that others have is smaller then, which Prometheus takes for a restart. A series
// that is made again begins at zero at once, also in front of that look.
//
// We assume that the file system keeps what was written to a shared mapping
// when the process is killed: every local file system does.
package store
