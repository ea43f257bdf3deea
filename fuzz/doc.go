// Package fuzz damages the files of mpmetrics from outside, and checks the consequences: damage of
// every class, whole files and whole directories made up by the fuzzer, and any text as name, help
// or label.
//
// go test runs each class of damage with some seeds, and the corpora of the fuzz targets; make
// fuzz lets the targets search on. The target of a single decoder is in the package of the
// decoder.
package fuzz
