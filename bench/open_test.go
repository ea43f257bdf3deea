package main

import (
	"os"
	"testing"

	"github.com/mpmetrics/mpmetrics/store"
)

// BenchmarkOpenClose is what a process pays once. Each leaves the file of a dead process behind; they are cleared
// away now and then, outside of the time.
func BenchmarkOpenClose(b *testing.B) {
	alone(b, func(b *testing.B) {
		dir := directory(b)
		for i := range b.N {
			if i%1000 == 999 {
				b.StopTimer()
				if err := os.RemoveAll(dir); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			s, err := store.Open(store.Opts{Location: dir, NoAbsorption: true})
			if err != nil {
				b.Fatal(err)
			}
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
