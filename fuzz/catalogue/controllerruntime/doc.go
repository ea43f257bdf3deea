// Package controllerruntime is the part of the catalogue for controller-runtime, whose registry is
// the only registry of client-go in a process.
package controllerruntime
