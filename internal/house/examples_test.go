package house

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

// public are the packages that programs import.
var public = []string{"store", "store/redis", "collector", "compact"}

// TestExamplesAreWhole checks that godoc shows each example of a public package as a complete
// program: the file holds one example, one more declaration and no test, and uses no helper of
// another file.
func TestExamplesAreWhole(t *testing.T) {
	top, fset, found := root(t), token.NewFileSet(), map[string]int{}
	for _, s := range tests(t, fset) {
		dir := path.Dir(s.path)
		if !slices.Contains(public, dir) || len(doc.Examples(s.file)) == 0 {
			continue
		}
		f, err := parser.ParseFile(fset, filepath.Join(top, s.path), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range doc.Examples(f) {
			found[dir]++
			if _, whole := e.Code.(*ast.File); !whole {
				t.Errorf("%s: godoc shows Example%s without its file: want one example, one more declaration and no test there", s.path, e.Name)
			}
		}
		if names := foreignNames(t, f); len(names) > 0 {
			t.Errorf("%s: %v are declared in other files, which godoc does not show", s.path, names)
		}
	}
	for _, dir := range public {
		if found[dir] == 0 {
			t.Errorf("%s has no example", dir)
		}
	}
}

// foreignNames returns the names that a file uses and neither declares nor imports.
func foreignNames(t *testing.T, f *ast.File) (names []string) {
	t.Helper()
	imported := map[string]bool{}
	for _, i := range f.Imports {
		p, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		imported[path.Base(p)] = true
	}
	for _, id := range f.Unresolved {
		if !imported[id.Name] && !doc.IsPredeclared(id.Name) {
			names = append(names, id.Name)
		}
	}
	return names
}

func TestForeignNamesAreFound(t *testing.T) {
	const text = `package p_test

import "fmt"

type own struct{ n int }

func ExampleF() {
	x := own{n: 1}
	fmt.Println(len(helper(x.n)), other)
}
`
	f, err := parser.ParseFile(token.NewFileSet(), "p_test.go", text, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := foreignNames(t, f), []string{"helper", "other"}; !slices.Equal(got, want) {
		t.Errorf("found %v, want %v", got, want)
	}
}
