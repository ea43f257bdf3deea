package house

import (
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A link or a picture of Markdown, without the title.
var link = regexp.MustCompile(`\]\(<?([^)\s>]+)>?[^)]*\)`)

// Code of Markdown: a block between fences, an indented line, and text between backquotes.
var code = regexp.MustCompile("(?ms)^```.*?^```|^(?:    |\t)[^\n]*|`[^`\n]*`")

// links returns the targets of the relative links in a text of Markdown, without fragments.
func links(text string) (found []string) {
	for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(text, ""), -1) {
		u, err := url.Parse(m[1])
		if err != nil {
			found = append(found, m[1])
			continue
		}
		if u.Scheme == "" && u.Host == "" && u.Path != "" {
			found = append(found, u.Path)
		}
	}
	return found
}

func TestLinksLeadToFiles(t *testing.T) {
	top, n := root(t), 0
	for _, file := range files(t, ".md") {
		text, err := os.ReadFile(filepath.Join(top, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, to := range links(string(text)) {
			n++
			if _, err := os.Stat(filepath.Join(top, filepath.Dir(file), filepath.FromSlash(to))); err != nil {
				t.Errorf("%s: link to %s: %v", file, to, err)
			}
		}
	}
	if n < 10 {
		t.Errorf("%d links were found in all documents: too few to say anything", n)
	}
}

func TestLinksAreFound(t *testing.T) {
	const text = "[a](b.md) and [c](d/e.go#L3 \"title\"), ![p](<p.png>),\n" +
		"[web](https://example.com/x), [here](#part), `[code](no.md)`\n\n    [indented](no.md)\n\n```\n[fenced](no.md)\n```\n[last](../z)"
	if got, want := links(text), []string{"b.md", "d/e.go", "p.png", "../z"}; !slices.Equal(got, want) {
		t.Errorf("found %v, want %v", got, strings.Join(want, " "))
	}
}
