// Package store is the process side of mpmetrics: the instruments of client_golang, with values in
// a file that other processes read.
//
// Most programs need two steps: make metrics with this package instead of promauto,
//
//	var requests = store.NewCounterVec(prometheus.CounterOpts{
//		Name: "http_requests_total", Help: "Requests served.",
//	}, []string{"code"})
//
// and set MPMETRICS_DIR to a directory that all processes of the service share. Without a setting
// the same program keeps plain in-process metrics. Package collector shows the metrics in both
// cases.
//
// # Roles
//
// The owner of a file, the process that made the file, adds to cells in mapped memory: one atomic
// instruction, no system call, no lock of another process. A scraper, in any process, loads the
// cells. No process waits for another.
//
// # Survival
//
//	                          | value of a series      | new series             | the total of all
//	SIGKILL, panic, OOM kill  | every update that      | every series whose     | complete
//	                          | returned               | constructor returned   |
//	disk full, EIO, ENOMEM,   | goes on in its cells   | in memory, published   | complete but for the
//	EMFILE, read-only remount |                        | when there is room     | series in memory
//	privileges dropped, a     | goes on in its cells   | the same               | complete
//	parent cannot be entered  |                        |                        |
//	file or directory removed | goes on; in a new file | the same               | complete but for that
//	under its process         | within a second        |                        | second
//	process started while the | in memory, published   | the same               | the same
//	directory is unusable     | when it is usable      |                        |
//	machine crash, power cut  | lost on tmpfs; on disk | the same               | reset, unless all of it
//	                          | what the kernel wrote  |                        | was in the archive [1]
//
// A burst of some hundred new series in a row can be faster than the background work that makes
// room. Then the constructor or With waits for room: a fraction of a millisecond, or some
// milliseconds when every core is busy. After a tenth of a second the series stays in memory until
// there is room, and no series waits until the background work goes on. With of other series in the
// same vec waits too; updates do not wait.
//
// [1] And the archive is on a disk: see package compact, also for the absorption of processes that
// have ended.
//
// No error of the file system reaches an instrument: updates neither block nor
// fail. Two events can end the process. If root truncates the file of a live process, the
// next update dies of SIGBUS, unless the background work, which checks once a second,
// came first. A published file is read-only, also for the user of its owner. And if the
// directory is on XFS, not on tmpfs, and XFS shuts down after an error of the disk, the next
// update dies of SIGBUS. docs/operations.md has a table by file system.
//
// Go does not support a process that was forked without exec, for instance a worker of Python's
// multiprocessing with the start method fork, or of gunicorn with --preload. Start workers by exec:
// in Python, by the start method spawn. A forked process writes no series and no observation. Its
// first new series, observation or flush writes one line to the standard error, and from then on no
// reader sees a count of the process. Before that, an increment of a counter or gauge that exists
// counts for the parent.
//
// # On a server
//
// With MPMETRICS_URL, and package store/redis imported, values are words on the heap:
// updates cost the same as in a file. Each [Opts].FlushInterval the changed values are
// sent, so that SIGKILL loses the counts since the last flush; [Store.Close], at the end of
// a process, loses nothing. No update waits for the server. Values that the server missed
// arrive with a later flush, and all values after the server lost its memory.
//
// # Deletion
//
// Vecs are client_golang's own, and do not tell when a series is deleted. The
// background work looks each second, or after twenty times as long as a look
// takes, ten seconds at most. Then a gauge leaves the merged output, and a counter,
// histogram or summary leaves if no other process, living or dead, has the series. If
// another process has the series, the total keeps what this process counted: a smaller
// total would look like a reset to Prometheus. A process keeps the counts of the 1000
// series that were deleted last.
//
// A series that is made again goes on from there, also before that look; in its own
// process it starts at zero, as in client_golang. A gauge is new.
//
// # Versions
//
// Until version 1 a minor version may change the API and, with a line at the top of the
// changelog, the file format. Processes of versions with the same format version may share
// a directory, and a server; a reader refuses a file of another format version, names the
// version, and leaves the file alone. A program of format version 2 will read version 1,
// absorb its files, and refuse to absorb into an archive of a later version; RELEASE.md
// has the table and the rule.
//
// We assume that the file system keeps data that was written to a shared mapping
// when the process is killed: every local file system does.
package store
