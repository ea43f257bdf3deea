// Package readme has the tests that do what the README shows.
package readme
