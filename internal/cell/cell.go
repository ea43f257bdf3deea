// Package cell turns bytes of a mapped slab into 64-bit words that several
// processes share. It is the only package that uses unsafe: the conversion
// happens here, in one place, behind the checks of bounds and alignment.
package cell

import (
	"fmt"
	"sync/atomic"
	"unsafe"
)

const wordBytes = int(unsafe.Sizeof(atomic.Uint64{}))

// Words views b as 64-bit words. It panics, with the numbers, when b does not
// begin at a multiple of eight: a word that straddles two cache lines would be
// torn, silently. Bytes behind the last whole word are left out.
//
// The words are only as alive as the mapping under b: whoever unmaps it must
// have dropped every word before.
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

// Address returns where b begins, for the system calls that want one.
func Address(b []byte) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(b)) }

// Plain views words as integers for their one writer, who holds a lock that
// excludes all others in its process. A plain store of an aligned word is not
// torn, and is seen by other processes no later than an atomic store behind it.
func Plain(words []atomic.Uint64) []uint64 {
	return unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(words))), len(words))
}
