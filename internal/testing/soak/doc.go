// Package soak holds the test of all together: two versions of a program that count by own and by
// mirrored metrics of all kinds, jobs, deletions, kills, stops, absorbers, sidecars, files and locks
// that are removed, clocks that jump. A witness outside of all processes checks each value of each
// scrape.
package soak
