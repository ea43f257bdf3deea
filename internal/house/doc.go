// Package house holds the rules of the repository beyond the linters. The tests of the package read
// the sources.
package house
