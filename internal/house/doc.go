// Package house holds the rules of this repository that no linter knows. Its tests read the
// sources.
package house
