package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A source is a parsed file with its path from the root of the repository.
type source struct {
	path string
	file *ast.File
}

// root returns the folder of the nearest go.mod above the package.
func root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir)
	}
	t.Fatalf("no go.mod above the package: %v", err)
	return ""
}

// sources parses all Go files of the repository without its tests, nested modules included.
func sources(t *testing.T, fset *token.FileSet) []source {
	t.Helper()
	return parse(t, fset, func(name string) bool { return !strings.HasSuffix(name, "_test.go") })
}

// tests parses the test files of the repository, nested modules included.
func tests(t *testing.T, fset *token.FileSet) []source {
	t.Helper()
	return parse(t, fset, func(name string) bool { return strings.HasSuffix(name, "_test.go") })
}

// parse parses the Go files of the repository whose names are wanted.
func parse(t *testing.T, fset *token.FileSet, wanted func(name string) bool) []source {
	t.Helper()
	top := root(t)
	var found []source
	for _, rel := range files(t, ".go") {
		if !wanted(rel) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(top, rel))
		if err != nil {
			t.Fatal(err)
		}
		rel = filepath.ToSlash(rel)
		f, err := parser.ParseFile(fset, rel, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, source{rel, f})
	}
	if len(found) == 0 {
		t.Fatalf("%s holds no sources", top)
	}
	return found
}

// files returns the paths from the root of the repository that end in suffix. Folders of fetched
// tools and of git are left out.
func files(t *testing.T, suffix string) (found []string) {
	t.Helper()
	top := root(t)
	err := filepath.WalkDir(top, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && (e.Name() == ".cache" || e.Name() == ".git"):
			return filepath.SkipDir
		case e.IsDir() || !strings.HasSuffix(path, suffix):
			return nil
		}
		rel, err := filepath.Rel(top, path)
		found = append(found, rel)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
