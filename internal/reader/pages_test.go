//go:build unix

package reader

import (
	"encoding/binary"
	"errors"
	"hash/fnv"
	"testing"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// book is a bbolt file of our own making: page 2 is the root.
type book []byte

const firstPage = 2

func newBook(pages int) book {
	b := make(book, pages*layout.PageSize)
	b.seal(0, 1, pages)
	b.seal(1, 2, pages)
	return b
}

func (b book) seal(slot, txid, pages int) { b.sealRoot(slot, uint64(txid), firstPage, uint64(pages)) }

// sealRoot writes a meta page.
func (b book) sealRoot(slot int, txid, root, pages uint64) {
	p := b[slot*layout.PageSize:]
	binary.LittleEndian.PutUint64(p, uint64(slot))
	binary.LittleEndian.PutUint16(p[8:], metaPage)
	m := p[pageHeaderBytes:]
	binary.LittleEndian.PutUint32(m, boltMagic)
	binary.LittleEndian.PutUint32(m[4:], boltVersion)
	binary.LittleEndian.PutUint32(m[8:], layout.PageSize)
	binary.LittleEndian.PutUint64(m[16:], root)
	binary.LittleEndian.PutUint64(m[40:], pages)
	binary.LittleEndian.PutUint64(m[48:], txid)
	sum := fnv.New64a()
	sum.Write(m[:56])
	binary.LittleEndian.PutUint64(m[56:], sum.Sum64())
}

// page writes the header of a page.
func (b book) page(id int, flags, count uint16, overflow uint32) book {
	p := b[id*layout.PageSize:]
	binary.LittleEndian.PutUint64(p, uint64(id))
	binary.LittleEndian.PutUint16(p[8:], flags)
	binary.LittleEndian.PutUint16(p[10:], count)
	binary.LittleEndian.PutUint32(p[12:], overflow)
	return b
}

// child writes the first element of a branch.
func (b book) child(id, to int) book {
	binary.LittleEndian.PutUint64(b[id*layout.PageSize+pageHeaderBytes+8:], uint64(to))
	return b
}

// bucket writes the first element of a leaf: a bucket whose root is a page.
func (b book) bucket(id int, name string, root int) book {
	e := b[id*layout.PageSize+pageHeaderBytes:]
	binary.LittleEndian.PutUint32(e, bucketElement)
	binary.LittleEndian.PutUint32(e[4:], elementBytes)
	binary.LittleEndian.PutUint32(e[8:], uint32(len(name)))
	binary.LittleEndian.PutUint32(e[12:], bucketBytes)
	copy(e[elementBytes:], name)
	binary.LittleEndian.PutUint64(e[elementBytes+len(name):], uint64(root))
	return b
}

func TestRulesOfThePages(t *testing.T) {
	deep := newBook(maxDepth + 4)
	for id := firstPage; id < maxDepth+3; id++ {
		deep.page(id, branchPage, 1, 0).child(id, id+1)
	}
	slab := string(layout.SlabBucket(0))
	leaf := func(root int) book { return newBook(5).page(firstPage, leafPage, 1, 0).bucket(firstPage, slab, root) }
	tests := []struct {
		name string
		file book
		want string
		is   error
	}{
		{"no buckets", newBook(3).page(firstPage, leafPage, 0, 0), "no header record", layout.ErrForeign},
		{"neither branch nor leaf", newBook(3).page(firstPage, 0x40, 0, 0), "page 2 has flags 0x40", layout.ErrDamaged},
		{"page of another number", newBook(4).page(firstPage, branchPage, 1, 0).child(firstPage, 3), "page 3 has the number of page 0", layout.ErrDamaged},
		{"root behind the end", newBook(2), "page 2 of 2", layout.ErrDamaged},
		{"more elements than the page has room for", newBook(3).page(firstPage, branchPage, 0xffff, 0), "page 0 of 3", layout.ErrDamaged},
		{"branch that leads back", newBook(3).page(firstPage, branchPage, 1, 0).child(firstPage, firstPage), "page 2 reached twice", layout.ErrDamaged},
		{"branch without end", deep, "tree deeper than 8 pages", layout.ErrDamaged},
		{"overflow behind the end", newBook(4).page(firstPage, leafPage, 0, 2), "page 2 overflows by 2 pages", layout.ErrDamaged},
		{"endless overflow", newBook(4).page(firstPage, leafPage, 0, 1<<31), "page 2 overflows by 2147483648 pages", layout.ErrDamaged},
		{"overflow without a header", newBook(4).page(firstPage, leafPage, 0, 1), "no header record", layout.ErrForeign},
		{"value instead of a bucket", newBook(3).page(firstPage, leafPage, 1, 0), `bucket "": not a bucket`, layout.ErrDamaged},
		{"header behind the end", newBook(3).page(firstPage, leafPage, 1, 0).bucket(firstPage, layout.HeaderBucket, 9), `bucket "header": page 9 of 3`, layout.ErrDamaged},
		{"header in a branch", newBook(4).page(firstPage, leafPage, 1, 0).bucket(firstPage, layout.HeaderBucket, 3).page(3, branchPage, 1, 0), "not a leaf with one key", layout.ErrDamaged},
		{"header without its key", newBook(4).page(firstPage, leafPage, 1, 0).bucket(firstPage, layout.HeaderBucket, 3).page(3, leafPage, 1, 0), `key "", want "header"`, layout.ErrDamaged},
		{"slab behind the end", leaf(5), "page 5 of 5", layout.ErrDamaged},
		{"slab in a branch", leaf(3).page(3, branchPage, 1, 0), "page 3 is not a leaf with one key", layout.ErrDamaged},
		{"slab without its key", leaf(3).page(3, leafPage, 1, 0), "page 3 holds no slab", layout.ErrDamaged},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := readSnapshot(memoryOf(test.file), metas{})
			wantError(t, err, test.want)
			if !errors.Is(err, test.is) {
				t.Errorf("error %v, want %v", err, test.is)
			}
		})
	}
	for _, flags := range []uint16{branchPage, leafPage} {
		// A page without room for the element that it counts: inline pages are as
		// long as somebody says.
		p := make(page, pageHeaderBytes+elementBytes-1)
		binary.LittleEndian.PutUint16(p[8:], flags)
		_, branch := p.branch(0)
		_, leaf := p.leaf(0)
		wantError(t, branch, "element 0 is beyond the end of its page")
		wantError(t, leaf, "element 0 is beyond the end of its page")
	}
}

// A file that fails says so: that is no damage.
func TestErrorsOfTheFile(t *testing.T) {
	sound := newBook(4).page(firstPage, branchPage, 1, 0).child(firstPage, 3).page(3, leafPage, 0, 0)
	calls := 1
	for ; ; calls++ {
		f := &faulty{memory: memoryOf(sound), at: calls}
		_, err := readSnapshot(f, metas{})
		if !f.failed {
			break
		}
		if !errors.Is(err, errFaulty) || errors.Is(err, layout.ErrDamaged) {
			t.Errorf("call %d failed: %v, want %v", calls, err, errFaulty)
		}
	}
	// Both metas, twice and the first once more, the size, two pages.
	if calls < 8 {
		t.Errorf("%d calls, want more", calls)
	}
}

var errFaulty = errors.New("input/output error")

// faulty is a file one call of which fails.
type faulty struct {
	memory
	at     int
	calls  int
	failed bool
}

func (f *faulty) call() error {
	if f.calls++; f.calls == f.at {
		f.failed = true
		return errFaulty
	}
	return nil
}

func (f *faulty) ReadAt(b []byte, offset int64) (int, error) {
	if err := f.call(); err != nil {
		return 0, err
	}
	return f.memory.ReadAt(b, offset)
}

func (f *faulty) Size() (int64, error) {
	if err := f.call(); err != nil {
		return 0, err
	}
	return f.memory.Size()
}

// A file that is committed to between any two readings is busy, and not damaged.
func TestBusyFile(t *testing.T) {
	f := &busy{book: newBook(3).page(firstPage, leafPage, 0, 0)}
	if _, err := readSnapshot(f, metas{}); !errors.Is(err, ErrBusy) {
		t.Errorf("error %v, want %v", err, ErrBusy)
	}
	if f.commits != maxTries {
		t.Errorf("%d tries, want %d", f.commits, maxTries)
	}
}

// busy is a file to which a transaction is committed whenever its length is asked
// for.
type busy struct {
	book
	commits int
}

func (b *busy) ReadAt(p []byte, offset int64) (int, error) { return memoryOf(b.book).ReadAt(p, offset) }

func (b *busy) Size() (int64, error) {
	b.commits++
	b.seal(b.commits%2, 2+b.commits, 3)
	return int64(len(b.book)), nil
}
