package schedule

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const module = "github.com/mpmetrics/mpmetrics/internal/"

// imports replaces the imports of a file.
var imports = strings.NewReplacer(
	"\t\"sync/atomic\"\n", "\t\""+module+"testing/schedule/atomic\"\n",
	"\t\"sync\"\n", "\t\""+module+"testing/schedule/sync\"\n",
	"\t\"runtime\"\n", "\t\""+module+"testing/schedule/runtime\"\n",
	"\t\""+module+"cell\"\n", "\t\""+module+"testing/schedule/cell\"\n",
)

// Overlay writes the overlay of a package in dir: with the imports replaced, and without the tests
// but the file test. An edit, unless its from is empty, changes the code of the package.
func Overlay(t testing.TB, dir, test, from, to string) string {
	t.Helper()
	out := t.TempDir()
	replace := map[string]string{}
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	edits := 0
	for _, path := range files {
		name := filepath.Base(path)
		switch {
		case name == test:
			continue
		case strings.HasSuffix(name, "_test.go"):
			replace[path] = ""
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		code := string(text)
		if from != "" {
			edits += strings.Count(code, from)
			code = strings.Replace(code, from, to, 1)
		}
		replace[path] = filepath.Join(out, name)
		if err := os.WriteFile(replace[path], []byte(imports.Replace(code)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if from != "" && edits != 1 {
		t.Fatalf("the code has %d times %q, want once", edits, from)
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(out, "overlay.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(fmt.Errorf("write overlay: %w", err))
	}
	return path
}
