// Package memoryserver is a remote.Server in the memory of a test: the model of a real server,
// with every fault of the server and of the connection.
package memoryserver
