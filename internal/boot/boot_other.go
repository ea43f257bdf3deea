//go:build !linux && !darwin

package boot

func nameOf() string { return "" }
