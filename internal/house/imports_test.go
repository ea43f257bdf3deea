package house

import (
	"go/token"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const modulePath = "github.com/mpmetrics/mpmetrics/"

// floors are the packages of the library and of the command, from the lowest floor up. A package
// imports packages of lower floors only: two packages that import each other are one package with
// two names, and a lower package that calls up hides the order of things from a reader.
var floors = [][]string{
	// The file format, and values that know nothing of files.
	{"internal/layout", "internal/cell", "internal/boot", "internal/location", "internal/marker", "internal/pace", "internal/selector"},
	// Memory, directories, and the rules of merging.
	{"internal/mapped", "internal/fork", "internal/directory", "internal/merge", "internal/mirror"},
	// A bbolt file; the families and series of a process; the merged text.
	{"internal/boltfile", "internal/table", "internal/render"},
	// One owner file: its writer and its reader.
	{"internal/ownerfile", "internal/reader"},
	// The archive; instruments and their cells.
	{"internal/archive", "internal/instrument"},
	// The laws: of a place for values, of a server, of a source of a scan.
	{"internal/place", "internal/remote", "internal/scan"},
	// The place that is a file, foreign collectors, a server as a scan reads it, repair.
	{"internal/owner", "internal/foreign", "internal/serverview", "internal/salvage", "store/redis"},
	// The place that is a server; the source of a location.
	{"internal/publisher", "internal/source"},
	// Answers for operators; absorption, which stores and collectors start.
	{"internal/inspect", "compact"},
	{"store"},
	{"collector", "promauto"},
	{"cmd/mpmetrics-inspect/serve"},
	{"cmd/mpmetrics-inspect"},
}

// besides are folders whose packages stand above all floors: nothing of the library imports them.
var besides = []string{"bench", "deploy", "examples", "fuzz", "internal/house", "internal/testing", "scripts"}

func isBeside(dir string) bool {
	return slices.ContainsFunc(besides, func(b string) bool { return dir == b || strings.HasPrefix(dir, b+"/") })
}

func TestImportsPointDown(t *testing.T) {
	floor := map[string]int{}
	for n, packages := range floors {
		for _, p := range packages {
			floor[p] = n
		}
	}
	seen := map[string]bool{}
	for _, s := range sources(t, token.NewFileSet()) {
		dir := path.Dir(s.path)
		if isBeside(dir) || dir == "cmd/mpmetrics-inspect/browser" {
			continue
		}
		from, known := floor[dir]
		if !known {
			t.Errorf("%s: package %s is on no floor: put it into the list above", s.path, dir)
			continue
		}
		seen[dir] = true
		for _, spec := range s.file.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			to, own := strings.CutPrefix(name, modulePath)
			if !own {
				continue
			}
			at, known := floor[to]
			switch {
			case isBeside(to):
				t.Errorf("%s imports %s, which is for tests and programs", s.path, to)
			case !known:
				t.Errorf("%s imports %s, which is on no floor", s.path, to)
			case at >= from:
				t.Errorf("%s, on floor %d, imports %s on floor %d: imports point down", s.path, from, to, at)
			}
		}
	}
	for p := range floor {
		if !seen[p] {
			t.Errorf("package %s of the list is not there", p)
		}
	}
}
