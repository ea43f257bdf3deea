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
		all[len(all)-1] = append(all[len(all)-1], row{Offset: offset, Size: size, Field: m[3]})
	}
	return all
}

// The drawing is the only description of the format: it must say what the
// constants do.
func TestSlabTableEqualsConstants(t *testing.T) {
	want := []row{
		{Offset: slabMagicAt, Size: slabCRCAt - slabMagicAt, Field: "magic"},
		{Offset: slabCRCAt, Size: slabVersionAt - slabCRCAt, Field: "crc"},
		{Offset: slabVersionAt, Size: slabKindAt - slabVersionAt, Field: "version"},
		{Offset: slabKindAt, Size: slabPadAt - slabKindAt, Field: "kind"},
		{Offset: slabPadAt, Size: slabNumberAt - slabPadAt, Field: "pad"},
		{Offset: slabNumberAt, Size: slabGenerationAt - slabNumberAt, Field: "number"},
		{Offset: slabGenerationAt, Size: slabBytesAt - slabGenerationAt, Field: "generation"},
		{Offset: slabBytesAt, Size: slabOrderAt - slabBytesAt, Field: "bytes"},
		{Offset: slabOrderAt, Size: slabReservedAt - slabOrderAt, Field: "order"},
		{Offset: slabReservedAt, Size: SlabHeaderBytes - slabReservedAt, Field: "reserved"},
	}
	if diff := cmp.Diff(tables(t, "layout.go"), [][]row{want}); diff != "" {
		t.Errorf("table of layout.go (-got +want):\n%s", diff)
	}
}

func TestHeaderTableEqualsConstants(t *testing.T) {
	want := []row{
		{Offset: headerMagicAt, Size: headerCRCAt - headerMagicAt, Field: "magic"},
		{Offset: headerCRCAt, Size: headerVersionAt - headerCRCAt, Field: "crc"},
		{Offset: headerVersionAt, Size: headerKindAt - headerVersionAt, Field: "version"},
		{Offset: headerKindAt, Size: headerOrderAt - headerKindAt, Field: "kind"},
		{Offset: headerOrderAt, Size: headerPageSizeAt - headerOrderAt, Field: "order"},
		{Offset: headerPageSizeAt, Size: headerPIDAt - headerPageSizeAt, Field: "pageSize"},
		{Offset: headerPIDAt, Size: headerIDAt - headerPIDAt, Field: "pid"},
		{Offset: headerIDAt, Size: headerInodeAt - headerIDAt, Field: "id"},
		{Offset: headerInodeAt, Size: headerStartAt - headerInodeAt, Field: "inode"},
		{Offset: headerStartAt, Size: headerGenerationAt - headerStartAt, Field: "start"},
		{Offset: headerGenerationAt, Size: headerLogSlabAt - headerGenerationAt, Field: "generation"},
		{Offset: headerLogSlabAt, Size: headerTextsAt - headerLogSlabAt, Field: "logSlab"},
		{Offset: headerTextsAt, Size: -1, Field: "texts"},
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
