package house

import (
	"go/ast"
	"go/token"
	"regexp"
	"testing"
)

// numbered is the name of a test after a number in a list of cases. A reader of a failure has no
// such list.
var numbered = regexp.MustCompile(`^(Test|Benchmark|Fuzz|Example)[ATXSR][0-9]`)

func TestTestNames(t *testing.T) {
	fset := token.NewFileSet()
	for _, s := range tests(t, fset) {
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && numbered.MatchString(f.Name.Name) {
				t.Errorf("%s:%d: %s is named after a number: say the case", s.path, fset.Position(f.Pos()).Line, f.Name.Name)
			}
		}
	}
}

func TestNumberedNamesAreFound(t *testing.T) {
	for name, want := range map[string]bool{
		"TestA17Collect":        true,
		"TestX1":                true,
		"TestT2bScrape":         true,
		"BenchmarkS3Absorption": true,
		"TestTypeConflict":      false,
		"TestAdd2":              false,
		"TestX":                 false,
		"TestV2":                false,
	} {
		if got := numbered.MatchString(name); got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}
