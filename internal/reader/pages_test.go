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
		{name: "no buckets", file: newBook(3).page(firstPage, leafPage, 0, 0), want: "no header record", is: layout.ErrForeign},
		{name: "neither branch nor leaf", file: newBook(3).page(firstPage, 0x40, 0, 0), want: "page 2 has flags 0x40", is: layout.ErrDamaged},
		{name: "page of another number", file: newBook(4).page(firstPage, branchPage, 1, 0).child(firstPage, 3), want: "page 3 has the number of page 0", is: layout.ErrDamaged},
		{name: "root behind the end", file: newBook(2), want: "page 2 of 2", is: layout.ErrDamaged},
		{name: "more elements than the page has room for", file: newBook(3).page(firstPage, branchPage, 0xffff, 0), want: "page 0 of 3", is: layout.ErrDamaged},
		{name: "branch that leads back", file: newBook(3).page(firstPage, branchPage, 1, 0).child(firstPage, firstPage), want: "page 2 reached twice", is: layout.ErrDamaged},
		{name: "branch without end", file: deep, want: "tree deeper than 8 pages", is: layout.ErrDamaged},
		{name: "overflow behind the end", file: newBook(4).page(firstPage, leafPage, 0, 2), want: "page 2 overflows by 2 pages", is: layout.ErrDamaged},
		{name: "endless overflow", file: newBook(4).page(firstPage, leafPage, 0, 1<<31), want: "page 2 overflows by 2147483648 pages", is: layout.ErrDamaged},
		{name: "overflow without a header", file: newBook(4).page(firstPage, leafPage, 0, 1), want: "no header record", is: layout.ErrForeign},
		{name: "value instead of a bucket", file: newBook(3).page(firstPage, leafPage, 1, 0), want: `bucket "": not a bucket`, is: layout.ErrDamaged},
		{name: "header behind the end", file: newBook(3).page(firstPage, leafPage, 1, 0).bucket(firstPage, layout.HeaderBucket, 9), want: `bucket "header": page 9 of 3`, is: layout.ErrDamaged},
		{name: "header in a branch", file: newBook(4).page(firstPage, leafPage, 1, 0).bucket(firstPage, layout.HeaderBucket, 3).page(3, branchPage, 1, 0), want: "not a leaf with one key", is: layout.ErrDamaged},
		{name: "header without its key", file: newBook(4).page(firstPage, leafPage, 1, 0).bucket(firstPage, layout.HeaderBucket, 3).page(3, leafPage, 1, 0), want: `key "", want "header"`, is: layout.ErrDamaged},
		{name: "slab behind the end", file: leaf(5), want: "page 5 of 5", is: layout.ErrDamaged},
		{name: "slab in a branch", file: leaf(3).page(3, branchPage, 1, 0), want: "page 3 is not a leaf with one key", is: layout.ErrDamaged},
		{name: "slab without its key", file: leaf(3).page(3, leafPage, 1, 0), want: "page 3 holds no slab", is: layout.ErrDamaged},
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
