package reader

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"slices"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/table"
)

// The part of bbolt's format that a reader needs: page header, then elements, then data,
// little-endian on all machines for both bbolt and mpmetrics.
const (
	pageHeaderBytes = 16 // id 8, flags 2, count 2, overflow 4
	elementBytes    = 16 // leaf: flags 4, pos 4, ksize 4, vsize 4; branch: pos 4, ksize 4, page 8
	bucketBytes     = 16 // root page 8, sequence 8; an inline page follows when the root is 0
	metaBytes       = 64 // magic 4, version 4, page size 4, flags 4, root 16, freelist 8, pages 8, txid 8, checksum 8
	metaRegionBytes = pageHeaderBytes + metaBytes

	branchPage = 0x01
	leafPage   = 0x02
	metaPage   = 0x04

	bucketElement = 0x01

	boltMagic   = 0xED0CDAED
	boltVersion = 2
)

// Bounds of a snapshot. An owner file has one root page and a few slabs.
const (
	maxTries      = 64       // a try takes microseconds; the owner commits a few times a second
	maxDepth      = 8        // of the tree of buckets
	maxSnapshot   = 8192     // pages, each with its overflow
	maxPageChain  = 1024     // overflow of one page: the largest key of bbolt is far below
	maxSlabsFile  = 4096     // with the usual growth a thousand slabs hold a million series
	maxTreeBytes  = 32 << 20 // overflow of all pages: mirrored families
	firstPageSize = 1024
	lastPageSize  = 64 << 10
)

// metas are both meta pages as read, byte for byte.
type metas struct {
	regions  [2][metaRegionBytes]byte
	pageSize int
}

// meta is the content of one valid meta page.
type meta struct {
	pageSize int
	root     uint64
	pages    uint64 // the high-water mark: all page ids are lower
	txid     uint64
}

// place is the place of a slab.
type place struct {
	header layout.SlabHeader
	offset int64
}

// snapshot is the bbolt content of one transaction.
type snapshot struct {
	metas  metas
	header *layout.Header
	size   int64 // of the file
	slabs  []place
	mirror []table.Mirrored

	exemplars []table.Mirrored

	pages int // pages that were read, without slabs
}

// source is an open file.
type source interface {
	io.ReaderAt
	Size() (int64, error)
}

// readSnapshot reads a consistent snapshot of f. It returns nil if both meta pages are the pages of
// known. An error that wraps layout.ErrDamaged was found while both meta pages were unchanged: the
// file is damaged, and the reading is not at fault.
func readSnapshot(f source, known metas) (*snapshot, error) {
	return retrySnapshot(f, known, func(a, b metas) bool { return a == b })
}

// retrySnapshot is readSnapshot with another rule of acceptance. A test shows that a weaker rule
// fails.
func retrySnapshot(f source, known metas, same func(before, after metas) bool) (*snapshot, error) {
	for range maxTries {
		before, err := readMetas(f, known.pageSize)
		if err != nil {
			return nil, err
		}
		if before == known {
			return nil, nil
		}
		// Ask for the size now: the pages of these meta pages were written earlier.
		size, err := f.Size()
		if err != nil {
			return nil, err
		}
		s, err := readTree(f, size, before)
		after, again := readMetas(f, before.pageSize)
		if again != nil {
			return nil, again
		}
		if !same(before, after) {
			continue
		}
		if s != nil {
			s.size = size
		}
		return s, err
	}
	return nil, fmt.Errorf("%d tries: %w", maxTries, ErrBusy)
}

// readMetas reads both meta pages. The second meta page starts after one page. If the page size is
// unknown (0) and the first meta page is invalid, readMetas tries every page size.
func readMetas(f io.ReaderAt, pageSize int) (metas, error) {
	var m metas
	if pageSize != 0 {
		m.pageSize = pageSize
		for i := range m.regions {
			if _, err := f.ReadAt(m.regions[i][:], int64(i*pageSize)); err != nil {
				return metas{}, short(err)
			}
		}
		return m, nil
	}
	if _, err := f.ReadAt(m.regions[0][:], 0); err != nil {
		return metas{}, short(err)
	}
	if first, err := parseMeta(m.regions[0][:]); err == nil {
		return readMetas(f, first.pageSize)
	}
	for size := firstPageSize; size <= lastPageSize; size *= 2 {
		if _, err := f.ReadAt(m.regions[1][:], int64(size)); err != nil {
			return metas{}, short(err)
		}
		if second, err := parseMeta(m.regions[1][:]); err == nil && second.pageSize == size {
			return readMetas(f, size)
		}
	}
	return metas{}, fmt.Errorf("no valid bbolt meta page: %w", layout.ErrForeign)
}

// short translates the error of a file that ends before a page does.
func short(err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("file ends inside a page: %w", layout.ErrDamaged)
	}
	return err
}

func parseMeta(region []byte) (meta, error) {
	if flags := binary.LittleEndian.Uint16(region[8:]); flags != metaPage {
		return meta{}, fmt.Errorf("meta page has flags %#x, want %#x", flags, metaPage)
	}
	b := region[pageHeaderBytes:]
	if m := binary.LittleEndian.Uint32(b); m != boltMagic {
		return meta{}, fmt.Errorf("meta magic %#x, want %#x", m, uint32(boltMagic))
	}
	if v := binary.LittleEndian.Uint32(b[4:]); v != boltVersion {
		return meta{}, fmt.Errorf("bbolt version %d, want %d", v, boltVersion)
	}
	sum := fnv.New64a()
	sum.Write(b[:56])
	if got := binary.LittleEndian.Uint64(b[56:]); got != sum.Sum64() {
		return meta{}, fmt.Errorf("meta checksum %#x, want %#x", got, sum.Sum64())
	}
	m := meta{
		pageSize: int(binary.LittleEndian.Uint32(b[8:])),
		root:     binary.LittleEndian.Uint64(b[16:]),
		pages:    binary.LittleEndian.Uint64(b[40:]),
		txid:     binary.LittleEndian.Uint64(b[48:]),
	}
	if m.pageSize < firstPageSize || m.pageSize > lastPageSize || m.pageSize&(m.pageSize-1) != 0 {
		return meta{}, fmt.Errorf("page size %d", m.pageSize)
	}
	return m, nil
}

// newest returns the valid meta with the higher transaction.
func (m *metas) newest() (meta, error) {
	a, errA := parseMeta(m.regions[0][:])
	b, errB := parseMeta(m.regions[1][:])
	switch {
	case errA != nil && errB != nil:
		return meta{}, fmt.Errorf("no valid bbolt meta page: %w: %w", errA, layout.ErrDamaged)
	case errA != nil || errB == nil && b.txid > a.txid:
		return b, nil
	}
	return a, nil
}

// tree walks the pages of one transaction, in private memory.
type tree struct {
	f       io.ReaderAt
	meta    meta
	limit   uint64 // pages within the length of the file
	visited map[uint64]bool
	pages   int // pages that were read, without overflow
	bytes   int // bytes of the overflow
	found   snapshot
}

func readTree(f io.ReaderAt, size int64, m metas) (*snapshot, error) {
	newest, err := m.newest()
	if err != nil {
		return nil, err
	}
	t := &tree{
		f: f, meta: newest,
		limit:   min(newest.pages, uint64(size)/uint64(newest.pageSize)),
		visited: map[uint64]bool{},
		found:   snapshot{metas: m},
	}
	if err := t.walk(newest.root, 0, t.bucket); err != nil {
		return nil, err
	}
	if err := t.found.apart(); err != nil {
		return nil, err
	}
	if t.found.header == nil {
		return nil, fmt.Errorf("no header record: %w", layout.ErrForeign)
	}
	t.found.pages = t.pages + t.bytes/newest.pageSize
	return &t.found, nil
}

// page reads a page with its overflow.
func (t *tree) page(id uint64) (page, error) {
	if id < 2 || id >= t.limit {
		return nil, fmt.Errorf("page %d of %d: %w", id, t.limit, layout.ErrDamaged)
	}
	if t.visited[id] || t.pages >= maxSnapshot {
		return nil, fmt.Errorf("page %d reached twice, or more than %d pages: %w", id, maxSnapshot, layout.ErrDamaged)
	}
	t.visited[id] = true
	t.pages++
	p := make(page, t.meta.pageSize)
	if err := t.readAt(p, id); err != nil {
		return nil, err
	}
	if got := binary.LittleEndian.Uint64(p); got != id {
		return nil, fmt.Errorf("page %d has the number of page %d: %w", id, got, layout.ErrDamaged)
	}
	if n := uint64(p.overflow()); n > 0 {
		if n > maxPageChain || n >= t.limit-id {
			return nil, fmt.Errorf("page %d overflows by %d pages: %w", id, n, layout.ErrDamaged)
		}
		// Each page is read once. Otherwise overlapping chains would make a small file as expensive
		// as thousands of files.
		for next := id + 1; next <= id+n; next++ {
			if t.visited[next] {
				return nil, fmt.Errorf("page %d overflows into page %d, already read: %w", id, next, layout.ErrDamaged)
			}
			t.visited[next] = true
		}
		t.bytes += int(n) * t.meta.pageSize
		if t.bytes > maxTreeBytes {
			return nil, fmt.Errorf("pages of more than %d MiB: %w", maxTreeBytes>>20, layout.ErrLimit)
		}
		p = make(page, (int(n)+1)*t.meta.pageSize)
		if err := t.readAt(p, id); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (t *tree) readAt(b []byte, id uint64) error {
	if _, err := t.f.ReadAt(b, int64(id)*int64(t.meta.pageSize)); err != nil {
		return short(err)
	}
	return nil
}

// walk calls visit with the elements of a bucket, from the root page of the bucket on.
func (t *tree) walk(id uint64, depth int, visit func(element) error) error {
	if depth >= maxDepth {
		return fmt.Errorf("tree deeper than %d pages: %w", maxDepth, layout.ErrDamaged)
	}
	p, err := t.page(id)
	if err != nil {
		return err
	}
	switch p.flags() {
	case branchPage:
	case leafPage:
		return p.leaves(visit)
	default:
		return fmt.Errorf("page %d has flags %#x: %w", id, p.flags(), layout.ErrDamaged)
	}
	for i := range p.count() {
		child, err := p.branch(i)
		if err != nil {
			return err
		}
		if err := t.walk(child, depth+1, visit); err != nil {
			return err
		}
	}
	return nil
}

// bucket takes an element of the root bucket: a bucket of mpmetrics.
func (t *tree) bucket(e element) error {
	if err := t.takeBucket(e); err != nil {
		return fmt.Errorf("bucket %q: %w", e.key, err)
	}
	return nil
}

func (t *tree) takeBucket(e element) error {
	if e.flags != bucketElement || len(e.value) < bucketBytes {
		return fmt.Errorf("not a bucket: %w", layout.ErrDamaged)
	}
	root, inline := binary.LittleEndian.Uint64(e.value), page(e.value[bucketBytes:])
	switch string(e.key) {
	case layout.HeaderBucket:
		return t.header(root, inline)
	case layout.MirrorBucket:
		return t.values(root, inline, &t.found.mirror)
	case layout.ExemplarBucket:
		return t.values(root, inline, &t.found.exemplars)
	}
	if number, ok := layout.ParseSlabBucket(e.key); ok {
		return t.slab(number, root)
	}
	return nil // of a later minor version
}

// values takes the families of a bucket, with their values.
func (t *tree) values(root uint64, inline page, all *[]table.Mirrored) error {
	take := func(e element) error {
		if e.flags != 0 {
			return fmt.Errorf("family %.100q is a bucket: %w", e.key, layout.ErrDamaged)
		}
		if len(*all) >= table.MaxFamilies {
			return fmt.Errorf("more than %d mirrored families: %w", table.MaxFamilies, layout.ErrLimit)
		}
		// The value may stay in the page: no other reading uses the memory.
		*all = append(*all, table.Mirrored{Name: string(e.key), Value: e.value})
		return nil
	}
	if root == 0 {
		return inline.leaves(take)
	}
	return t.walk(root, 0, take)
}

// apart checks that no slab overlaps another slab. Otherwise the same cells would count several
// times.
func (s *snapshot) apart() error {
	sorted := slices.Clone(s.slabs)
	slices.SortFunc(sorted, func(a, b place) int { return cmp.Compare(a.offset, b.offset) })
	for i := 1; i < len(sorted); i++ {
		if before := sorted[i-1]; before.offset+int64(before.header.Bytes) > sorted[i].offset {
			return fmt.Errorf("slab %d reaches into slab %d: %w", before.header.Number, sorted[i].header.Number, layout.ErrDamaged)
		}
	}
	return nil
}

func (t *tree) header(root uint64, p page) error {
	if root != 0 {
		var err error
		if p, err = t.page(root); err != nil {
			return err
		}
	}
	if len(p) < pageHeaderBytes || p.flags() != leafPage || p.count() != 1 {
		return fmt.Errorf("not a leaf with one key: %w", layout.ErrDamaged)
	}
	e, err := p.leaf(0)
	if err != nil {
		return err
	}
	if string(e.key) != layout.HeaderKey {
		return fmt.Errorf("key %q, want %q: %w", e.key, layout.HeaderKey, layout.ErrDamaged)
	}
	h, err := layout.DecodeHeader(e.value)
	if err == nil && int(h.PageSize) != t.meta.pageSize {
		err = fmt.Errorf("pages of %d bytes, the header says %d: %w", t.meta.pageSize, h.PageSize, layout.ErrDamaged)
	}
	t.found.header = h
	return err
}

// slab takes a slab by the first bytes of its pages. The body of a slab is not part of a snapshot,
// because the body changes while the owner counts.
func (t *tree) slab(number uint32, root uint64) error {
	if root < 2 || root >= t.limit || t.visited[root] {
		return fmt.Errorf("page %d of %d: %w", root, t.limit, layout.ErrDamaged)
	}
	if len(t.found.slabs) >= maxSlabsFile {
		return fmt.Errorf("more than %d slabs: %w", maxSlabsFile, layout.ErrLimit)
	}
	t.visited[root] = true
	p := make(page, layout.ValueOffset+layout.SlabHeaderBytes)
	if err := t.readAt(p, root); err != nil {
		return err
	}
	if id := binary.LittleEndian.Uint64(p); id != root || p.flags() != leafPage || p.count() != 1 {
		return fmt.Errorf("page %d is not a leaf with one key: %w", root, layout.ErrDamaged)
	}
	element := p[pageHeaderBytes:]
	pos, ksize, vsize := binary.LittleEndian.Uint32(element[4:]), binary.LittleEndian.Uint32(element[8:]), binary.LittleEndian.Uint32(element[12:])
	if binary.LittleEndian.Uint32(element) != 0 || pos != elementBytes || ksize != layout.KeyBytes || string(p[pageHeaderBytes+elementBytes:layout.ValueOffset]) != layout.SlabKey {
		return fmt.Errorf("page %d holds no slab: %w", root, layout.ErrDamaged)
	}
	h, err := layout.DecodeSlab(p[layout.ValueOffset:])
	if err != nil {
		return err
	}
	end := root + (uint64(p.overflow()) + 1)
	if h.Number != number || h.Bytes != uint64(vsize) || end > t.limit ||
		layout.ValueOffset+h.Bytes > (uint64(p.overflow())+1)*uint64(t.meta.pageSize) {
		return fmt.Errorf("slab %d of %d bytes in %d of pages %d to %d: %w", h.Number, h.Bytes, vsize, root, end, layout.ErrDamaged)
	}
	t.found.slabs = append(t.found.slabs, place{header: h, offset: int64(root)*int64(t.meta.pageSize) + layout.ValueOffset})
	return nil
}

// page is one page with its overflow, or an inline page.
type page []byte

func (p page) flags() uint16    { return binary.LittleEndian.Uint16(p[8:]) }
func (p page) count() int       { return int(binary.LittleEndian.Uint16(p[10:])) }
func (p page) overflow() uint32 { return binary.LittleEndian.Uint32(p[12:]) }

// element is one key and value of a leaf.
type element struct {
	flags      uint32
	key, value []byte
}

func (p page) element(i int) (at int, err error) {
	at = pageHeaderBytes + i*elementBytes
	if at+elementBytes > len(p) {
		return 0, fmt.Errorf("element %d is beyond the end of its page: %w", i, layout.ErrDamaged)
	}
	return at, nil
}

func (p page) leaf(i int) (element, error) {
	at, err := p.element(i)
	if err != nil {
		return element{}, err
	}
	key := uint64(at) + uint64(binary.LittleEndian.Uint32(p[at+4:]))
	value := key + uint64(binary.LittleEndian.Uint32(p[at+8:]))
	end := value + uint64(binary.LittleEndian.Uint32(p[at+12:]))
	if end > uint64(len(p)) {
		return element{}, fmt.Errorf("element %d ends at %d of %d: %w", i, end, len(p), layout.ErrDamaged)
	}
	return element{flags: binary.LittleEndian.Uint32(p[at:]), key: p[key:value], value: p[value:end]}, nil
}

// leaves calls visit with the elements of a leaf. The leaf may be an inline page.
func (p page) leaves(visit func(element) error) error {
	if len(p) < pageHeaderBytes || p.flags() != leafPage {
		return fmt.Errorf("page is no leaf: %w", layout.ErrDamaged)
	}
	for i := range p.count() {
		e, err := p.leaf(i)
		if err != nil {
			return err
		}
		if err := visit(e); err != nil {
			return err
		}
	}
	return nil
}

func (p page) branch(i int) (uint64, error) {
	at, err := p.element(i)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(p[at+8:]), nil
}
