package layout

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// row is a line of a table "offset | size | field | meaning".
type row struct {
	Offset int
	Size   int // -1 for the rest
	Field  string
}

var rowPattern = regexp.MustCompile(`^\s*(\d+)\s*\|\s*(\d+|…)\s*\|\s*(\w+)\s*\|`)

// tables returns the tables in the comments of a file, in order.
func tables(t *testing.T, path string) [][]row {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var all [][]row
	for _, group := range f.Comments {
		all = append(all, tablesOf(t, group)...)
	}
	return all
}

func tablesOf(t *testing.T, group *ast.CommentGroup) [][]row {
	t.Helper()
	var all [][]row
	inside := false
	for _, line := range strings.Split(group.Text(), "\n") {
		m := rowPattern.FindStringSubmatch(line)
		if m == nil {
			inside = false
			continue
		}
		if !inside {
			all, inside = append(all, nil), true
		}
		offset, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		size, err := strconv.Atoi(m[2])
		if err != nil {
			size = -1
		}
		all[len(all)-1] = append(all[len(all)-1], row{offset, size, m[3]})
	}
	return all
}

// The drawing is the only description of the format: it must say what the
// constants do.
func TestSlabTableEqualsConstants(t *testing.T) {
	want := []row{
		{slabMagicAt, slabCRCAt - slabMagicAt, "magic"},
		{slabCRCAt, slabVersionAt - slabCRCAt, "crc"},
		{slabVersionAt, slabKindAt - slabVersionAt, "version"},
		{slabKindAt, slabPadAt - slabKindAt, "kind"},
		{slabPadAt, slabNumberAt - slabPadAt, "pad"},
		{slabNumberAt, slabGenerationAt - slabNumberAt, "number"},
		{slabGenerationAt, slabBytesAt - slabGenerationAt, "generation"},
		{slabBytesAt, slabOrderAt - slabBytesAt, "bytes"},
		{slabOrderAt, slabReservedAt - slabOrderAt, "order"},
		{slabReservedAt, SlabHeaderBytes - slabReservedAt, "reserved"},
	}
	if diff := cmp.Diff(tables(t, "layout.go"), [][]row{want}); diff != "" {
		t.Errorf("table of layout.go (-got +want):\n%s", diff)
	}
}

func TestHeaderTableEqualsConstants(t *testing.T) {
	want := []row{
		{headerMagicAt, headerCRCAt - headerMagicAt, "magic"},
		{headerCRCAt, headerVersionAt - headerCRCAt, "crc"},
		{headerVersionAt, headerKindAt - headerVersionAt, "version"},
		{headerKindAt, headerOrderAt - headerKindAt, "kind"},
		{headerOrderAt, headerPageSizeAt - headerOrderAt, "order"},
		{headerPageSizeAt, headerPIDAt - headerPageSizeAt, "pageSize"},
		{headerPIDAt, headerIDAt - headerPIDAt, "pid"},
		{headerIDAt, headerInodeAt - headerIDAt, "id"},
		{headerInodeAt, headerStartAt - headerInodeAt, "inode"},
		{headerStartAt, headerGenerationAt - headerStartAt, "start"},
		{headerGenerationAt, headerLogSlabAt - headerGenerationAt, "generation"},
		{headerLogSlabAt, headerTextsAt - headerLogSlabAt, "logSlab"},
		{headerTextsAt, -1, "texts"},
	}
	if diff := cmp.Diff(tables(t, "header.go"), [][]row{want}); diff != "" {
		t.Errorf("table of header.go (-got +want):\n%s", diff)
	}
}

// The placement rules are arithmetic on bbolt's page format.
func TestPlacement(t *testing.T) {
	if got, want := len(SlabKey), KeyBytes; got != want {
		t.Errorf("slab key of %d bytes, want %d", got, want)
	}
	if got, want := ValueOffset, 64; got != want {
		t.Errorf("slabs start at %d in their page, want %d: a cache line", got, want)
	}
	if got, want := SlabHeaderBytes, 64; got != want {
		t.Errorf("slab header of %d bytes, want %d: a cache line", got, want)
	}
	for pages := 1; pages < 300; pages++ {
		body := SlabBytes(pages) - SlabHeaderBytes
		if got := SlabPages(body); got != pages {
			t.Errorf("SlabPages(%d) = %d, want %d", body, got, pages)
		}
		if got := SlabPages(body + 1); got != pages+1 {
			t.Errorf("SlabPages(%d) = %d, want %d", body+1, got, pages+1)
		}
	}
}
