//go:build !unix

package main

// Only Unix can pass on a listening socket this way.
func main() { panic("graceful needs Unix") }
