// Package memoryserver is a remote.Server in the memory of a test: what a server has to
// do, without one, and with everything that goes wrong on the way to it and in it.
package memoryserver
