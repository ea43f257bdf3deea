// Package cell turns bytes of a mapped slab into 64-bit words for several processes. No other
// package uses unsafe: the conversion happens only here, after the checks of bounds and alignment.
package cell

import (
	"fmt"
	"sync/atomic"
	"unsafe"
)

const wordBytes = int(unsafe.Sizeof(atomic.Uint64{}))

// Words views b as 64-bit words. Words panics, with the numbers, if b does not begin at a multiple
// of eight: a word across two cache lines would be torn, silently. Words drops the bytes after the
// last whole word.
//
// The words live only as long as the mapping under b: the caller must drop every word before the
// unmapping.
func Words(b []byte) []atomic.Uint64 {
	n := len(b) / wordBytes
	if n == 0 {
		return nil
	}
	p := unsafe.Pointer(unsafe.SliceData(b))
	if uintptr(p)%uintptr(wordBytes) != 0 {
		panic(fmt.Sprintf("mpmetrics: bug: words at address %#x, not a multiple of %d", uintptr(p), wordBytes))
	}
	return unsafe.Slice((*atomic.Uint64)(p), n)
}

// Address returns the address of b, for system calls with an address.
func Address(b []byte) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(b)) }

// Plain views words as integers for their only writer. The writer holds a lock against every other
// writer in its process. A plain store of an aligned word is not torn, and other processes see the
// plain store no later than the next atomic store.
func Plain(words []atomic.Uint64) []uint64 {
	return unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(words))), len(words))
}
