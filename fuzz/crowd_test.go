//go:build unix

package fuzz

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/testing/damage"
	"github.com/mpmetrics/mpmetrics/store"
)

// slots are the dead whose files a script may put in their places.
const slots = 3

// crowd is a directory with a process that lives, where a script puts whatever
// it likes under whatever name. The names of families are random: whatever is
// forged, nobody but their process and the archive has them.
type crowd struct {
	*world
	sub      string
	living   string // name of its file
	mine     string // prefix of the families of the living
	slot     [slots]slot
	first    string    // family of a process that both archives hold
	archives [2][]byte // the second holds the first slot too
	foreign  []byte    // a sound file of elsewhere
}

// slot is a dead process.
type slot struct {
	name   string // of its file
	file   string // a second name of it, outside: its inode stays
	sound  []byte
	family string // it counted good in it
}

func newCrowd(t testing.TB) *crowd {
	t.Helper()
	dir := memoryDir(t)
	c := &crowd{world: &world{t: t, dir: dir}, sub: filepath.Join(dir, layout.Subdirectory), mine: "mine_" + layout.NewID().String()}
	living := c.open()
	t.Cleanup(func() { c.end(living) })
	living.NewCounter(prometheus.CounterOpts{Name: c.mine + "_total"}).Add(good)
	living.NewGauge(prometheus.GaugeOpts{Name: c.mine + "_now"}, store.LiveSum).Set(good)
	c.living = c.names()[0]
	c.first = c.die("first")
	c.absorbAll()
	c.archives[0] = c.read(layout.ArchiveName)
	for i := range c.slot {
		s := slot{family: c.die("slot"), file: filepath.Join(dir, "slot"+string(rune('0'+i)))}
		s.name = slices.DeleteFunc(c.names(), func(n string) bool { return n == c.living })[0]
		if err := os.Link(c.path(s.name), s.file); err != nil {
			t.Fatal(err)
		}
		s.sound = c.read(s.name)
		c.slot[i] = s
		if i == 0 {
			c.absorbAll()
			c.archives[1] = c.read(layout.ArchiveName)
		} else if err := os.Remove(c.path(s.name)); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile("../internal/reader/testdata/v1.mpm")
	if err != nil {
		t.Fatal(err)
	}
	c.foreign = golden
	return c
}

// die makes a process that counts in a family of its own, and returns its name.
func (c *crowd) die(what string) string {
	family := what + "_" + layout.NewID().String() + "_total"
	s := c.open()
	s.NewCounter(prometheus.CounterOpts{Name: family}).Add(good)
	c.end(s)
	return family
}

func (c *crowd) path(name string) string { return filepath.Join(c.sub, name) }

func (c *crowd) read(name string) []byte {
	c.t.Helper()
	b, err := os.ReadFile(c.path(name))
	if err != nil {
		c.t.Fatal(err)
	}
	return b
}

// names are the published files.
func (c *crowd) names() []string {
	c.t.Helper()
	paths, err := filepath.Glob(c.path("[0-9]*" + layout.Extension))
	if err != nil {
		c.t.Fatal(err)
	}
	for i := range paths {
		paths[i] = filepath.Base(paths[i])
	}
	return paths
}

func (c *crowd) absorbAll() {
	c.t.Helper()
	if _, err := compact.Run(c.t.Context(), c.dir, compact.Opts{Limits: compact.Limits{CoreShare: 1}, Logger: silent}); err != nil {
		c.t.Fatal(err)
	}
}

// places are what a script has put where.
type places map[string]put

// archive reports whether there is a sound one, which holds the first slot or
// not.
func (p places) archive() bool { return p[layout.ArchiveName].sound }

// adverse reports whether it is in doubt where the archive is, or what was in it:
// then totals may be missing, and an absorption may be refused.
func (p places) adverse() bool {
	_, archive := p[layout.ArchiveName]
	_, location := p[layout.LocationName]
	lock, locked := p[layout.LockName]
	return location || archive && !p.archive() || locked && (lock.content == nil || !p.archive())
}

// put is what a script has put somewhere.
type put struct {
	content []byte // of a regular file; nil for others
	sound   bool   // it is what belongs there
	old     bool
}

// arrange empties the directory of all but the living, and does what a script
// says: a name, what is put there, and further bytes for it.
func (c *crowd) arrange(script damage.Tape) places {
	c.t.Helper()
	entries, err := os.ReadDir(c.sub)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != c.living {
			c.remove(e.Name())
		}
	}
	if err := os.RemoveAll(filepath.Dir(c.elsewhere())); err != nil {
		c.t.Fatal(err)
	}
	if err := os.MkdirAll(c.elsewhere(), 0o700); err != nil {
		c.t.Fatal(err)
	}
	for _, s := range c.slot { // links may lead to one that has no place
		if err := os.WriteFile(s.file, s.sound, 0o600); err != nil {
			c.t.Fatal(err)
		}
	}
	there := places{}
	for n := 0; len(script) > 0 && n < maxPuts; n++ {
		name, index := c.name(&script)
		c.remove(name)
		there[name] = c.put(&script, name, index)
	}
	return there
}

// maxPuts bounds what one script does: each is a file.
const maxPuts = 12

func (c *crowd) remove(name string) {
	c.t.Helper()
	if err := os.RemoveAll(c.path(name)); err != nil {
		c.t.Fatal(err)
	}
}

// The names that a script may choose: the first are those of the slots.
const (
	nameArchive = slots + iota
	nameLocation
	nameLock
	nameQuarantine
	nameArchiveTemporary
	nameTemporary
	nameProcess
	nameOther
	nameAny
	nameKinds
)

// name takes a name. index is that of its slot, if it has one, or −1.
func (c *crowd) name(script *damage.Tape) (name string, index int) {
	fixed := layout.ID{1: script.Byte()}
	switch n := script.Below(nameKinds); n {
	case nameArchive:
		return layout.ArchiveName, -1
	case nameLocation:
		return layout.LocationName, -1
	case nameLock:
		return layout.LockName, -1
	case nameQuarantine:
		return layout.QuarantineName, -1
	case nameArchiveTemporary:
		return layout.ArchiveTemporary(fixed), -1
	case nameTemporary:
		return layout.FileName(1+int(fixed[1]), fixed) + layout.TemporaryExtension, -1
	case nameProcess:
		return layout.FileName(1+int(fixed[1]), fixed), -1
	case nameOther:
		others := []string{
			".mpm", "notes.txt", "a\nb", "x.mpm", "0-" + fixed.String() + ".mpm", "1-" + strings.ToUpper(fixed.String()) + ".mpm",
			"archive.mpm~", "-1-" + fixed.String() + ".mpm", "archive-.tmp", strings.Repeat("n", 255), "compact.lock.tmp",
		}
		return others[int(fixed[1])%len(others)], -1
	case nameAny:
		name := strings.NewReplacer("/", "_", "\x00", "_").Replace(string(script.Bytes(1 + script.Below(40))))
		if name == "." || name == ".." || name == c.living {
			name = "_"
		}
		return name, slices.IndexFunc(c.slot[:], func(s slot) bool { return s.name == name })
	default:
		return c.slot[n].name, n
	}
}

// What may be put at a name.
const (
	putSound = iota
	putDamaged
	putScript
	putBytes
	putEmpty
	putForeign
	putArchive
	putOtherArchive
	putSlot
	putLink
	putText
	putDirectory
	putSymlink
	putFIFO
	putKinds
)

func (c *crowd) put(script *damage.Tape, name string, index int) put {
	c.t.Helper()
	path, old, kind := c.path(name), script.Below(4) == 3, script.Below(putKinds)
	var err error
	switch kind {
	case putDirectory:
		if err = os.Mkdir(path, 0o700); err == nil && script.Below(2) == 1 {
			err = os.WriteFile(filepath.Join(path, c.slot[0].name), nil, 0o600)
		}
	case putSymlink:
		err = os.Symlink([]string{c.slot[1].file, "/dev/zero", c.sub, name, "missing"}[script.Below(5)], path)
	case putFIFO:
		err = syscall.Mkfifo(path, 0o600)
	case putLink:
		err = os.Link(c.slot[script.Below(slots)].file, path)
	default:
		return c.putFile(script, kind, name, index, old)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return put{}
}

func (c *crowd) putFile(script *damage.Tape, kind int, name string, index int, old bool) put {
	c.t.Helper()
	path, p := c.path(name), put{content: c.content(script, kind, index), old: old}
	var err error
	if index >= 0 {
		p.sound = bytes.Equal(p.content, c.slot[index].sound)
		if err = os.WriteFile(c.slot[index].file, p.content, 0o600); err == nil {
			err = os.Link(c.slot[index].file, path)
		}
	} else {
		p.sound = name == layout.ArchiveName && slices.ContainsFunc(c.archives[:], func(a []byte) bool { return bytes.Equal(p.content, a) })
		err = os.WriteFile(path, p.content, 0o600)
	}
	if past := time.Now().Add(-time.Hour); err == nil && old {
		err = os.Chtimes(path, past, past)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return p
}

// content makes what a regular file is to hold; never nil.
func (c *crowd) content(script *damage.Tape, kind, index int) []byte {
	sound := c.archives[0]
	if index >= 0 {
		sound = c.slot[index].sound
	}
	switch kind {
	case putSound:
		return sound
	case putDamaged:
		class, seed := script.Below(len(damage.Classes)), script.Byte()
		return append([]byte{}, damage.Classes[class].Do(rand.New(rand.NewPCG(uint64(seed), 1)), slices.Clone(sound))...)
	case putScript:
		return damage.Perform(script.Bytes(script.Below(256)), slices.Clone(sound))
	case putBytes:
		return script.Bytes(script.Below(256))
	case putForeign:
		return c.foreign
	case putArchive, putOtherArchive:
		return c.archives[kind-putArchive]
	case putSlot:
		return c.slot[script.Below(slots)].sound
	case putText:
		texts := []string{
			c.sub + "\n", c.elsewhere() + "\n", c.path("missing") + "\n", "relative\n", c.sub, "/dev/null\n", "an archive was published\n", "\n",
			strings.Repeat("/", 70_000) + "\n",
		}
		return []byte(texts[script.Below(len(texts))])
	}
	return []byte{}
}

// elsewhere is a directory where an archive may be.
func (c *crowd) elsewhere() string { return filepath.Join(c.dir, "elsewhere", layout.Subdirectory) }
