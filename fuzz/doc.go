// Package fuzz holds what can be done to the files of mpmetrics from outside,
// and checks what comes of it: damage of every class, whole files and whole
// directories made up by the fuzzer, and any text as name, help or label.
//
// go test runs each class of damage with some seeds and the corpora of the fuzz
// targets; make fuzz lets the targets search on. Targets of a single decoder
// stand beside it.
package fuzz
