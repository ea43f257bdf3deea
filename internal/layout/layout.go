// Package layout is the on-disk format of mpmetrics, defined once.
//
// # The file
//
// A process's file is a bbolt file. Its page size is 4096 on every machine;
// readers take 16384 and 65536 too. bbolt keeps the directory of the file: one top-level bucket with the header
// record, and one top-level bucket for each slab.
//
//	root ── "header"        inline bucket, key "header": the header record
//	     ├─ "mirror"        what collectors that are not ours show, see mirror.go
//	     ├─ "exemplars"     of all series, likewise
//	     ├─ "slab" + number one bucket per slab, one key of 32 bytes, never touched again
//	     └─ …
//
// A slab is a bbolt value that its owner maps read-write; all counting happens
// there, outside bbolt. The placement is part of the format:
//
//   - One nested bucket per slab and one key in it. Slabs side by side in one
//     bucket are rewritten, and so moved, when the next one is put beside them.
//   - The key has 32 bytes. With bbolt's 16 byte page header and 16 byte leaf
//     element the value then starts 64 bytes into its page run: at a cache line.
//     An odd key length would make 64-bit atomics impossible.
//   - A slab of n pages is 4096·n − 64 bytes long, so it fills its page run.
//
// # The slab
//
//	0       8       16      24      32      40                      64
//	├───────┼───────┼───────┼───────┼───────┼───────────────────────┤
//	│ magic │crc ver│num gen│ bytes │ order │ reserved              │ body …
//	└───────┴───────┴───────┴───────┴───────┴───────────────────────┘
//
//	offset | size | field      | meaning
//	0      | 8    | magic      | "mpmslab\x00"
//	8      | 4    | crc        | CRC-32C of bytes 12 to 64
//	12     | 2    | version    | format version
//	14     | 1    | kind       | 1 series log, 2 cells
//	15     | 1    | pad        | zero
//	16     | 4    | number     | slab number, as in the name of its bucket
//	20     | 4    | generation | log generation that it was made for, zero for cells: a later log may use it again
//	24     | 8    | bytes      | length of the slab, this header included
//	32     | 8    | order      | 0x0102030405060708 in the owner's byte order
//	40     | 24   | reserved   | zero
//
// Everything is little-endian, but for the 64-bit words that are shared with
// readers while they change (cells and record words): these are native, and
// order refuses a file from a machine with another byte order.
//
// # The series log
//
// The body of a log slab is a sequence of records, each at a multiple of
// eight bytes:
//
//	0               4               8                       8+n   pad to 8
//	├───────────────┼───────────────┼───────────────────────┼─────┤
//	│ n: length     │ crc           │ payload of n bytes    │ 0   │
//	└───────────────┴───────────────┴───────────────────────┴─────┘
//	└── one 64-bit word, stored last, at once ──┘
//
// The word is n in its low half and the CRC-32C of the payload in its high
// half. It is zero until the record is complete: who sees the word sees the
// record, and a process killed before the store leaves nothing. A word whose
// low half is [Continued] ends the slab; its high half is the number of the
// slab where the log goes on.
//
// # The cells
//
// The body of a cell slab is an array of 64-bit words. A series owns a run of
// them, named by its record; cells.go says what each word holds.
package layout

import "hash/crc32"

// Format numbers. A change of any of them is a new format version.
const (
	// Version is the format version that this package writes and reads.
	Version = 1

	// PageSize is bbolt's page size in every file that is written, whatever the
	// machine's is: a file must not depend on the kernel that wrote it.
	PageSize = 4096

	// middlePageSize and largestPageSize are the others that are read: those of
	// arm64 and ppc64 kernels, which a bbolt without our option would take.
	middlePageSize  = 4 * PageSize
	largestPageSize = 16 * PageSize

	// ValueOffset is where a slab starts in its page run: page header, leaf
	// element and key.
	ValueOffset = pageHeaderBytes + leafElementBytes + KeyBytes

	// KeyBytes is the length of a slab's key.
	KeyBytes = 32

	// WordBytes is the size of a cell and of the alignment of records.
	WordBytes = 8

	// Extension ends the name of every published file.
	Extension = ".mpm"

	// TemporaryExtension ends the name of a file that is being made.
	TemporaryExtension = ".tmp"

	// Subdirectory is the directory of ours inside the configured one.
	Subdirectory = "mpmetrics"

	pageHeaderBytes  = 16
	leafElementBytes = 16
)

// HeaderBucket and HeaderKey name the header record, SlabKey is the one key of
// each slab's bucket. Part of the format.
const (
	HeaderBucket = "header"
	HeaderKey    = "header"
	SlabKey      = "mpmetrics slab: mapped, immobile"

	slabBucketPrefix = "slab"
)

// Bounds of what a reader believes, and a writer therefore writes. They keep a
// forged or damaged file from costing more than a file; each is far above what a
// sane service reaches.
const (
	// MaxRecordBytes bounds one record: a series with several of the longest
	// label values.
	MaxRecordBytes = 16 << 20

	// MaxNameBytes bounds the name of a metric or a label, and a unit. Storage
	// systems behind Prometheus refuse names of a thousand bytes.
	MaxNameBytes = 64 << 10

	// MaxHelpBytes bounds a help text: a book of 500 pages.
	MaxHelpBytes = 1 << 20

	// MaxLabelBytes bounds the value of a label. Prometheus indexes each value
	// in memory: one of a megabyte is an accident, but one that is survived.
	MaxLabelBytes = 4 << 20

	// MaxSeries bounds the series of a file, shards included: ten times the
	// default limit of a process, and more than Prometheus likes from a target.
	MaxSeries = 1 << 20

	// MaxLabels bounds label names of a family, const labels included.
	// Prometheus's own default limit is lower where one is set at all.
	MaxLabels = 1024

	// MaxBuckets bounds the finite bounds of a histogram: the index of a
	// bucket, that of +Inf included, has to fit into a commit word.
	MaxBuckets = 1<<commitIndexBits - 1

	// MaxSlabPages bounds a slab to 64 MiB: room for the longest record.
	MaxSlabPages = 16384
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is the CRC-32C of everything that is checked in a file.
func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }
