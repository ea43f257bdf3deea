package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"slices"
	"testing"
)

// undocumented returns the exported names of a file without a comment: of functions, of types
// with their exported fields and methods, and of constants and variables. A comment over a group
// of constants or variables is enough for the group.
func undocumented(f *ast.File) (names []string) {
	missing := func(prefix string, name *ast.Ident, docs ...*ast.CommentGroup) {
		if name.IsExported() && !slices.ContainsFunc(docs, func(d *ast.CommentGroup) bool { return d != nil }) {
			names = append(names, prefix+name.Name)
		}
	}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if recv := receiver(d); recv == "" || ast.IsExported(recv) {
				missing("", d.Name, d.Doc)
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.ValueSpec:
					for _, name := range s.Names {
						missing("", name, d.Doc, s.Doc, s.Comment)
					}
				case *ast.TypeSpec:
					missing("", s.Name, d.Doc, s.Doc)
					if st, ok := s.Type.(*ast.StructType); ok && s.Name.IsExported() {
						fields(st, s.Name.Name+".", missing)
					}
				}
			}
		}
	}
	return names
}

// fields reports the exported fields of a struct. The comment of an earlier field may name a
// field: "GroupShared and AllowNetworkFS are as in store.Opts."
func fields(st *ast.StructType, prefix string, missing func(string, *ast.Ident, ...*ast.CommentGroup)) {
	earlier := ""
	for _, f := range st.Fields.List {
		earlier += f.Doc.Text()
		for _, name := range f.Names {
			if !slices.Contains(word.FindAllString(earlier, -1), name.Name) {
				missing(prefix, name, f.Doc, f.Comment)
			}
		}
	}
}

// receiver returns the name of the type of a method, or "" for a function.
func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return ""
	}
	e := d.Recv.List[0].Type
	if star, ok := e.(*ast.StarExpr); ok {
		e = star.X
	}
	if name, ok := e.(*ast.Ident); ok {
		return name.Name
	}
	return ""
}

func TestExportedNamesAreDocumented(t *testing.T) {
	fset := token.NewFileSet()
	for _, s := range sources(t, fset) {
		if !slices.Contains(public, path.Dir(s.path)) {
			continue
		}
		for _, name := range undocumented(s.file) {
			t.Errorf("%s: %s has no comment", s.path, name)
		}
	}
}

func TestUndocumentedNamesAreFound(t *testing.T) {
	const text = `package p

func F() {}

// G has one.
func G() {}

type T struct {
	A int
	B int // has one
	// E and H have one.
	E int
	H int
	I int
	c int
}

func (t *T) M() {}

type u struct{ A int }

func (u) M() {}

// Both have one.
const (
	C = 1
	D = 2
)

var V = 3
`
	f, err := parser.ParseFile(token.NewFileSet(), "p.go", text, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := undocumented(f), []string{"F", "T", "T.A", "T.I", "M", "V"}; !slices.Equal(got, want) {
		t.Errorf("found %v, want %v", got, want)
	}
}
