// Package dskit is the part of the catalogue for github.com/grafana/dskit. The package has a module
// of its own, because memberlist needs an older github.com/hashicorp/go-metrics than the catalogue
// has.
package dskit
