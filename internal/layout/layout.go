// Package layout is the on-disk format of mpmetrics, defined once.
//
// # The file
//
// The file of a process is a bbolt file. Its page size is 4096 on every machine; readers accept
// 16384 and 65536 too. bbolt keeps the directory of the file: one top-level bucket with the header
// record, and one top-level bucket for each slab.
//
//	root ── "header"        inline bucket, key "header": the header record
//	     ├─ "mirror"        families of foreign collectors, see mirror.go
//	     ├─ "exemplars"     of all series, see mirror.go
//	     ├─ "slab" + number one bucket per slab, one key of 32 bytes, never touched again
//	     └─ …
//
// A slab is a bbolt value. The owner maps the slab read-write and does all counting there, without
// bbolt. The placement of slabs is part of the format:
//
//   - Each slab has its own nested bucket with a single key. In a shared bucket,
//     bbolt would rewrite, and so move, the other slabs at each new slab.
//   - The key has 32 bytes. After bbolt's 16 byte page header and 16 byte leaf
//     element the value starts 64 bytes into its page run: at a cache line. An
//     odd key length would make 64-bit atomics impossible.
//   - A slab of n pages is 4096·n − 64 bytes long, and so fills its page run.
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
//	20     | 4    | generation | log generation of its first use, kept for later logs; cells: zero
//	24     | 8    | bytes      | length of the slab, header included
//	32     | 8    | order      | 0x0102030405060708 in the owner's byte order
//	40     | 24   | reserved   | zero
//
// All numbers are little-endian, except for the 64-bit words that the owner changes while readers
// load them (cells and record words). Such words are in native order, and the field order refuses
// a file from a machine with another byte order.
//
// # The series log
//
// The body of a log slab is a sequence of records, each at a multiple of eight bytes:
//
//	0               4               8                       8+n   pad to 8
//	├───────────────┼───────────────┼───────────────────────┼─────┤
//	│ n: length     │ crc           │ payload of n bytes    │ 0   │
//	└───────────────┴───────────────┴───────────────────────┴─────┘
//	└── one 64-bit word, stored last, at once ──┘
//
// The low half of the word is n, the high half the CRC-32C of the payload. The word is zero until
// the record is complete: a reader of the word sees the whole record, and a process killed before
// the store of the word leaves no record. A word whose low half is [Continued] ends the slab; its
// high half is the number of the slab where the log goes on.
//
// # The cells
//
// The body of a cell slab is an array of 64-bit words. The record of a series names the run of
// words of the series; cells.go describes the words.
package layout

import "hash/crc32"

// Format numbers. A change of any of them is a new format version.
const (
	// Version is the format version that this package writes and reads.
	Version = 1

	// PageSize is bbolt's page size in every written file, on every machine: a file must not depend
	// on the kernel of its owner.
	PageSize = 4096

	// middlePageSize and largestPageSize are accepted by readers: the page sizes of arm64 and ppc64
	// kernels, the default of bbolt without our option.
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

	// TemporaryExtension ends the name of an unfinished file.
	TemporaryExtension = ".tmp"

	// Subdirectory is the directory of mpmetrics inside the configured directory.
	Subdirectory = "mpmetrics"

	pageHeaderBytes  = 16
	leafElementBytes = 16
)

// HeaderBucket and HeaderKey name the header record, SlabKey is the only key of each slab's
// bucket. Part of the format.
const (
	HeaderBucket = "header"
	HeaderKey    = "header"
	SlabKey      = "mpmetrics slab: mapped, immobile"

	slabBucketPrefix = "slab"
)

// Limits of a reader, and therefore of a writer. Because of them a forged or damaged file costs no
// more than a sound file. Each limit is far above the needs of a sane service.
const (
	// MaxRecordBytes bounds one record: a series with several of the longest label values.
	MaxRecordBytes = 16 << 20

	// MaxNameBytes bounds the name of a metric or a label, and a unit. Storage systems that
	// Prometheus writes to refuse names of a thousand bytes.
	MaxNameBytes = 64 << 10

	// MaxHelpBytes bounds a help text: a book of 500 pages.
	MaxHelpBytes = 1 << 20

	// MaxLabelBytes bounds the value of a label. Prometheus indexes each value in memory. A value
	// of a megabyte is an accident, but no reason to lose a file.
	MaxLabelBytes = 4 << 20

	// MaxSeries bounds the series of a file: ten times the
	// default limit of a process, and more than Prometheus likes from a target.
	MaxSeries = 1 << 20

	// MaxLabels bounds label names of a family, const labels included. Prometheus's own limit, if
	// configured, is lower.
	MaxLabels = 1024

	// MaxBuckets bounds the finite bounds of a histogram: the index of each bucket, +Inf included,
	// has to fit into a commit word.
	MaxBuckets = 1<<commitIndexBits - 1

	// MaxSlabPages bounds a slab to 64 MiB: room for the longest record.
	MaxSlabPages = 16384
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is the CRC-32C of all checked bytes in a file.
func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }
