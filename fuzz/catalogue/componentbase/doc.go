// Package componentbase is the part of the catalogue for k8s.io/component-base, whose registry is
// the only registry of client-go in a process.
package componentbase
