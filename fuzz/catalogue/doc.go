// Package catalogue runs the collectors of real libraries, and holds the default rules of merging
// to what the libraries show: testdata has the families of each library. The recipes of
// docs/collectors.md are here too, as programs that run.
//
// The package has a module of its own, because the libraries bring more modules than mpmetrics
// should.
package catalogue
