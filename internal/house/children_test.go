package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// startsItself returns the calls that make a command of os.Args[0].
func startsItself(f *ast.File) (found []*ast.CallExpr) {
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || !isSelector(call.Fun, "exec", "Command") && !isSelector(call.Fun, "exec", "CommandContext") {
			return true
		}
		for _, arg := range call.Args {
			if index, ok := arg.(*ast.IndexExpr); ok && isSelector(index.X, "os", "Args") {
				found = append(found, call)
			}
		}
		return true
	})
	return found
}

func isSelector(e ast.Expr, pkg, name string) bool {
	s, ok := e.(*ast.SelectorExpr)
	if !ok || s.Sel.Name != name {
		return false
	}
	x, ok := s.X.(*ast.Ident)
	return ok && x.Name == pkg
}

// TestChildrenAreStartedInOnePlace holds the tests to internal/testing/reexec, where a child has a
// deadline and an end.
func TestChildrenAreStartedInOnePlace(t *testing.T) {
	fset := token.NewFileSet()
	for _, s := range tests(t, fset) {
		if strings.HasPrefix(s.path, "internal/testing/reexec/") {
			continue
		}
		for _, call := range startsItself(s.file) {
			t.Errorf("%s:%d: start the test binary by internal/testing/reexec", s.path, fset.Position(call.Pos()).Line)
		}
	}
}

func TestStartsOfItselfAreFound(t *testing.T) {
	const text = `package p

func f() {
	exec.Command(os.Args[0], "x")
	exec.CommandContext(ctx, os.Args[0])
	exec.Command("true", args[0])
	reexec.Command("x", os.Args[1])
}
`
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "p.go", text, 0)
	if err != nil {
		t.Fatal(err)
	}
	var lines []int
	for _, call := range startsItself(f) {
		lines = append(lines, fset.Position(call.Pos()).Line)
	}
	if want := []int{4, 5}; !slices.Equal(lines, want) {
		t.Errorf("found lines %v, want %v", lines, want)
	}
}
