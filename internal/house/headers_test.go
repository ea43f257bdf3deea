package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"testing"
)

// stateInIfHeaders returns the init statements of ifs that write a field, an element or through a
// pointer. A reader who searches for the writes of a field looks at the beginnings of lines.
func stateInIfHeaders(f *ast.File) []ast.Stmt {
	var found []ast.Stmt
	ast.Inspect(f, func(n ast.Node) bool {
		is, ok := n.(*ast.IfStmt)
		if !ok {
			return true
		}
		var written []ast.Expr
		switch init := is.Init.(type) {
		case *ast.AssignStmt:
			written = init.Lhs
		case *ast.IncDecStmt:
			written = []ast.Expr{init.X}
		}
		if slices.ContainsFunc(written, isState) {
			found = append(found, is.Init)
		}
		return true
	})
	return found
}

// isState reports whether e is more than the name of a variable.
func isState(e ast.Expr) bool {
	_, local := ast.Unparen(e).(*ast.Ident)
	return !local
}

func TestNoStateInIfHeaders(t *testing.T) {
	fset := token.NewFileSet()
	for _, s := range sources(t, fset) {
		for _, stmt := range stateInIfHeaders(s.file) {
			at := fset.Position(stmt.Pos())
			t.Errorf("%s:%d: an if header writes state: move the assignment to a line before the if",
				at.Filename, at.Line)
		}
	}
}

func TestStateInIfHeadersIsFound(t *testing.T) {
	const text = `package p

func f(x *struct{ n int }, s []int, p *int) {
	var v int
	if v := 1; v > 0 {
	}
	if v = 2; v > 0 {
	}
	if x.n = 1; v > 0 {
	}
	if s[0] += 1; v > 0 {
	}
	if *p++; v > 0 {
	} else if (x.n), v = 1, 2; v > 0 {
	}
	if _, v = 1, 2; v > 0 {
	}
}
`
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "p.go", text, 0)
	if err != nil {
		t.Fatal(err)
	}
	var lines []int
	for _, stmt := range stateInIfHeaders(f) {
		lines = append(lines, fset.Position(stmt.Pos()).Line)
	}
	if want := []int{9, 11, 13, 14}; !slices.Equal(lines, want) {
		t.Errorf("found lines %v, want %v", lines, want)
	}
}
