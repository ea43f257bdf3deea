package compact

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/archive"
	"github.com/mpmetrics/mpmetrics/internal/boot"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
	"github.com/mpmetrics/mpmetrics/internal/reader"
)

// memory is a directory in memory: what the actors share.
type memory struct {
	*memoryDir  // at the path
	locks       []*memoryLock
	clock       time.Time     // may be set
	uptime      time.Duration // passes
	watched     archive.Reading
	made        uint64   // files so far
	disturbed   bool     // a person takes part
	deciding    *actor   // has checked, and has not renamed yet
	removals    uint64   // of compact.lock, of the directory, and of an archive that was read
	happened    int      // events of the history
	lost        span     // events between the removal of the archive and the restart of totals
	backwards   bool     // names are listed from the last to the first
	quarantined []string // what nobody should ever do here
	broken      error    // a rule that an absorption broke
}

// span is from one event of the history to another event.
type span struct {
	first, last int
	begun       bool // the archive was removed
	ended       bool // totals have restarted
}

// memoryDir is a directory. An absorption that has it open keeps it when another
// one takes the path.
type memoryDir struct {
	number    uint64 // its inode
	files     map[string]*memoryFile
	temporary map[string]*memoryArchive
	archive   *memoryArchive // under its name; nil: there is none
	lock      *memoryLock    // compact.lock; nil: there is none
}

func newMemoryDir() *memoryDir {
	return &memoryDir{number: 1, files: map[string]*memoryFile{}, temporary: map[string]*memoryArchive{}}
}

// memoryLock is the lock of one file, whatever is at its path.
type memoryLock struct {
	holder *actor
	of     digest // tells it from others
}

// memoryFile is the file of a process. Its series are there from the beginning.
type memoryFile struct {
	header  layout.Header
	cells   []uint64
	alive   bool   // its owner holds the lock
	probed  *actor // holds it exclusively for a moment, which it should not
	removed bool
}

// inode is a number of its own.
func (f *memoryFile) inode() uint64 { return f.header.Inode }

// memoryArchive is an archive as it is on a disk: records. It never changes.
type memoryArchive struct {
	header   layout.Header
	payloads [][]byte
	*memoryLock
	half    bool   // still being written
	origin  digest // what its writer had seen: what is in it follows from that
	written time.Time
}

// What every process counts: two counters, one of which has a float part only,
// and two gauges, of which one leaves with its process.
const (
	floatAt = 0 // its float part is the second word
	wholeAt = 2
	keptAt  = 4
	liveAt  = 5
	cells   = 6
)

var (
	memoryFamilies = []*layout.Family{
		{Type: layout.Counter, Name: "float_total", Help: "h"},
		{Type: layout.Counter, Name: "whole_total", Help: "h"},
		{Type: layout.Gauge, Mode: layout.Sum, Name: "kept", Help: "h"},
		{Type: layout.Gauge, Mode: layout.LiveSum, Name: "live", Help: "h"},
	}
	memoryEntries = []reader.Entry{
		{Family: 0, At: floatAt},
		{Family: 1, At: wholeAt},
		{Family: 2, At: keptAt},
		{Family: 3, At: liveAt},
	}
)

var bootName, _, _ = strings.Cut(boot.ID(), "@")

// bootID is the id of a process that starts now.
func (m *memory) bootID() string {
	if bootName == "" {
		return "" // this system does not name its boots
	}
	return bootName + boot.At(m.clock.Add(-m.uptime))
}

func newMemory() *memory {
	return &memory{memoryDir: newMemoryDir(), clock: time.Unix(1_800_000_000, 0), uptime: time.Hour}
}

// newLock makes the lock of a new file.
func (m *memory) newLock(of digest) *memoryLock {
	l := &memoryLock{of: of}
	m.locks = append(m.locks, l)
	return l
}

// take takes a lock, and reports whether it was free.
func (l *memoryLock) take(a *actor) bool {
	a.seen.add(uint64(l.of), bit(l.holder != nil))
	if l.holder != nil {
		return false
	}
	l.holder = a
	return true
}

// holder is who can be cut off while another one waits: who holds compact.lock, or
// a lock of a file that was removed.
func (m *memory) holder() *actor {
	if m.lock != nil && m.lock.holder != nil {
		return m.lock.holder
	}
	for _, l := range m.locks {
		if l.holder != nil {
			return l.holder
		}
	}
	return nil
}

// pass lets time pass.
func (m *memory) pass(d time.Duration) {
	m.clock, m.uptime = m.clock.Add(d), m.uptime+d
}

// removeLock is what a person does who takes compact.lock for a stale one.
func (m *memory) removeLock() {
	m.lock = nil
	m.removals++
}

// removeArchive removes the archive. compact.lock still says that there was an archive.
func (m *memory) removeArchive() {
	if m.archive != nil {
		m.archive, m.lost = nil, span{first: m.happened, begun: true}
		m.removals++
	}
}

// archiveLost is the error of a reader while the archive is missing.
func (m *memory) archiveLost() error {
	if m.archive == nil && m.lost.begun {
		return fmt.Errorf("the archive was removed: %w", layout.ErrDamaged)
	}
	return nil
}

// replace removes the directory. The living make it again, and their files: at
// once, since it does not matter here what scrapes show meanwhile.
func (m *memory) replace() {
	was := m.memoryDir
	m.memoryDir = newMemoryDir()
	m.number = was.number + 1
	m.removals++
	for name, f := range was.files {
		f.removed = true
		if !f.alive {
			continue
		}
		m.made++
		again := &memoryFile{header: f.header, cells: f.cells, alive: true}
		again.header.Inode = m.made
		m.files[name] = again
	}
}

// make makes the file of a process and publishes it. Its id follows from pid.
func (m *memory) make(pid int) *memoryFile {
	m.made++
	h := layout.Header{
		PID: uint32(pid), ID: idOf(uint64(pid)), Inode: m.made, Start: m.clock.UnixNano() + int64(pid), BootID: m.bootID(), Process: "p",
	}
	f := &memoryFile{header: h, cells: make([]uint64, cells), alive: true}
	m.files[layout.FileName(pid, h.ID)] = f
	return f
}

func idOf(n uint64) (id layout.ID) {
	binary.BigEndian.PutUint64(id[:], n)
	return id
}

// names lists the directory.
func (m *memory) names(a *actor) []string {
	var names []string
	if m.lock != nil {
		names = append(names, layout.LockName)
	}
	if m.archive != nil {
		names = append(names, layout.ArchiveName)
	}
	for name := range m.files {
		names = append(names, name)
	}
	for name := range m.temporary {
		names = append(names, name)
	}
	slices.Sort(names)
	if m.backwards {
		slices.Reverse(names)
	}
	for _, f := range m.files {
		a.seen += digest(f.header.PID) << 32 // in any order
	}
	a.seen.add(uint64(len(names)))
	return names
}

// find opens a file by its name.
func (m *memoryDir) find(a *actor, name string) (*memoryFile, error) {
	f := m.files[name]
	a.seen.add(bit(f == nil))
	if f == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return f, nil
}

// remove unlinks a file.
func (m *memoryDir) remove(a *actor, name string) error {
	f, err := m.find(a, name)
	if err == nil {
		f.removed = true
		delete(m.files, name)
	}
	return err
}

// state tells what is there: ids of files that were made in another order are of
// no importance.
func (m *memory) state() digest {
	var all digest
	for _, f := range m.files {
		d := digest(f.header.PID)
		d.add(uint64(f.header.Start), bit(f.alive), bit(f.probed != nil))
		d.add(f.cells...)
		all += d
	}
	for _, a := range m.temporary {
		d := a.origin
		d.add(bit(a.half), uint64(a.written.UnixNano()))
		all += d
	}
	if m.archive != nil {
		all.add(uint64(m.archive.origin))
	}
	for _, l := range m.locks {
		if l.holder != nil {
			d := l.of
			d.add(uint64(len(l.holder.name)), uint64(l.holder.name[len(l.holder.name)-1]))
			all += d
		}
	}
	all.add(uint64(m.clock.UnixNano()), uint64(m.uptime), uint64(m.watched.Uptime), uint64(m.watched.Wall.UnixNano()), uint64(len(m.quarantined)), m.removals, bit(m.lock != nil), bit(m.deciding != nil), bit(m.lost.begun), bit(m.lost.ended), uint64(m.lost.first), uint64(m.lost.last))
	return all
}

// release drops the locks of an actor, as the kernel does at its death.
func (m *memory) release(a *actor) {
	for _, l := range m.locks {
		if l.holder == a {
			l.holder = nil
		}
	}
	if m.deciding == a {
		m.deciding = nil
	}
	for _, f := range m.files {
		if f.probed == a {
			f.probed = nil
		}
	}
}

// held reports whether a shared lock could not be had.
func (f *memoryFile) held() bool { return f.alive || f.probed != nil }

// read reads a file whole.
func (f *memoryFile) read() *process {
	h := f.header
	p := &process{header: &h, families: memoryFamilies, values: slices.Clone(f.cells)}
	for _, e := range memoryEntries {
		p.inputs = append(p.inputs, merge.Input{Family: e.Family, At: e.At})
	}
	return p
}

// decode reads an archive as archive.Read does. The inode that it compares too
// is that of the file, which is never written again: generation says as much.
func (m *memoryArchive) decode(a *actor, known *archive.Archive, of *memory) (*archive.Archive, error) {
	if m == nil {
		return archive.New(), nil
	}
	a.seen.add(uint64(m.origin))
	if known != nil && known.Generation == m.header.ID {
		known.Now, known.Boot = of.clock.UnixNano(), of.bootID()
		return known, nil
	}
	h := m.header
	d := archive.NewDecoder(&h)
	for _, payload := range m.payloads {
		r, err := layout.DecodeRecord(payload)
		if err == nil {
			err = d.Take(r)
		}
		if err != nil {
			return nil, err
		}
	}
	read, err := d.Archive()
	if err == nil {
		read.Now, read.Boot = of.clock.UnixNano(), of.bootID()
	}
	return read, err
}

// epoch is what the header of an archive says.
func (m *memoryArchive) epoch() uint32 {
	if m == nil {
		return 0
	}
	return m.header.Generation
}
