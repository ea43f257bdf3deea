//go:build !unix

package main

// Only Unix hands a listening socket over like this.
func main() { panic("graceful needs Unix") }
