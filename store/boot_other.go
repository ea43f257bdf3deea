//go:build !linux && !darwin

package store

// bootID is not known here.
func bootID() string { return "" }
