package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The most pronouns in 100 words of a package's comments, and the fewest words for a meaningful
// share. bbolt and client_golang have three to five pronouns in 100 words.
const (
	mostPronouns = 6.0
	fewestWords  = 40
)

// pronouns stand in the place of a noun; the reader has to find the noun again.
var pronouns = map[string]bool{}

func init() {
	for _, w := range strings.Fields(`it its itself that this these those what which who whose whom
		one ones they them their others nobody anybody everybody somebody`) {
		pronouns[w] = true
	}
}

var word = regexp.MustCompile(`[A-Za-z']+`)

// A tally is the count of words and of pronouns.
type tally struct{ words, pronouns int }

func (t tally) share() float64 { return 100 * float64(t.pronouns) / float64(max(t.words, 1)) }

// A comment is a comment group with its tally.
type comment struct {
	at token.Position
	tally
}

// count returns the comment groups of a file. Directives such as //go:build are no prose.
func count(fset *token.FileSet, f *ast.File) []comment {
	var all []comment
	for _, group := range f.Comments {
		c := comment{at: fset.Position(group.Pos())}
		for _, line := range group.List {
			if strings.HasPrefix(line.Text, "//go:") {
				continue
			}
			for _, w := range word.FindAllString(line.Text, -1) {
				c.words++
				if pronouns[strings.ToLower(w)] {
					c.pronouns++
				}
			}
		}
		all = append(all, c)
	}
	return all
}

func TestCommentsArePlain(t *testing.T) {
	fset := token.NewFileSet()
	comments := map[string][]comment{}
	for _, s := range sources(t, fset) {
		dir := path.Dir(s.path)
		comments[dir] = append(comments[dir], count(fset, s.file)...)
	}
	for _, dir := range slices.Sorted(maps.Keys(comments)) {
		var sum tally
		for _, c := range comments[dir] {
			sum.words += c.words
			sum.pronouns += c.pronouns
		}
		t.Logf("%5.1f %% of %5d words: %s", sum.share(), sum.words, dir)
		if sum.words < fewestWords || sum.share() <= mostPronouns {
			continue
		}
		t.Errorf("%s: %.1f %% of the words in comments are pronouns, the limit is %.1f %%: repeat the noun",
			dir, sum.share(), mostPronouns)
		for _, c := range worst(comments[dir], 5) {
			t.Errorf("%s:%d: %d of %d words", c.at.Filename, c.at.Line, c.pronouns, c.words)
		}
	}
}

// worst returns the n comments with the most pronouns.
func worst(all []comment, n int) []comment {
	slices.SortStableFunc(all, func(a, b comment) int { return b.pronouns - a.pronouns })
	return all[:min(n, len(all))]
}

func TestCountOfPronouns(t *testing.T) {
	const text = `// Package p says what it is.
//
//go:generate which that this
package p

/* Nobody counts "them", nor ones. */
var s = "it that this" // It's theirs; its own.
`
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "p.go", text, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var got []tally
	for _, c := range count(fset, f) {
		got = append(got, c.tally)
	}
	want := []tally{
		{words: 6, pronouns: 2}, // what, it
		{words: 5, pronouns: 3}, // Nobody, them, ones
		{words: 4, pronouns: 1}, // its: It's and theirs are not in the list
	}
	if !slices.Equal(got, want) {
		t.Errorf("counted %v, want %v", got, want)
	}
	if got := (tally{words: 40, pronouns: 3}).share(); got != 7.5 {
		t.Errorf("share of 3 in 40 is %v, want 7.5", got)
	}
}
