// Package atomic stands in the place of sync/atomic: see package schedule.
package atomic

import "github.com/mpmetrics/mpmetrics/internal/testing/schedule"

// value is a word, or a pointer. One thread runs at a time.
type value[T comparable] struct{ v T }

// Load loads, as in sync/atomic. The methods below are those of sync/atomic too.
func (x *value[T]) Load() T {
	schedule.Point()
	return x.v
}

func (x *value[T]) Store(v T) {
	schedule.Point()
	x.v = v
}

func (x *value[T]) Swap(v T) (old T) {
	schedule.Point()
	old, x.v = x.v, v
	return old
}

// CompareAndSwap lets another thread run after a failure.
func (x *value[T]) CompareAndSwap(old, v T) bool {
	schedule.Point()
	if x.v != old {
		schedule.Yield()
		return false
	}
	x.v = v
	return true
}

// Bool is a truth value.
type Bool struct{ value[bool] }

// Pointer is a pointer.
type Pointer[T any] struct{ value[*T] }

// Int64 is a number.
type Int64 struct{ value[int64] }

// Add adds.
func (x *Int64) Add(n int64) int64 {
	schedule.Point()
	x.v += n
	return x.v
}

// Uint64 is a word.
type Uint64 struct{ value[uint64] }

// Add adds.
func (x *Uint64) Add(n uint64) uint64 {
	schedule.Point()
	x.v += n
	return x.v
}

// StoreUint64 stores.
func StoreUint64(p *uint64, v uint64) {
	schedule.Point()
	*p = v
}
