package location

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		text     string
		kind     Kind
		dir      string
		redacted string
	}{
		{text: "memory:", kind: InMemory, dir: "", redacted: "memory:"},
		{text: "/var/run/shop", kind: Directory, dir: "/var/run/shop", redacted: "/var/run/shop"},
		{text: "/var//run/../shop/", kind: Directory, dir: "/var/shop", redacted: "/var/shop"},
		{text: "shop", kind: Directory, dir: filepath.Join(here, "shop"), redacted: filepath.Join(here, "shop")},
		{text: "memory", kind: Directory, dir: filepath.Join(here, "memory"), redacted: filepath.Join(here, "memory")},
		{text: "file:///var/run/shop%20a", kind: Directory, dir: "/var/run/shop a", redacted: "/var/run/shop a"},
		{text: "redis://host:6379/0?namespace=shop", kind: Server, dir: "", redacted: "redis://host:6379/0?namespace=shop"},
		{text: "rediss://user:secret@host/1", kind: Server, dir: "", redacted: "rediss://user:xxxxx@host/1"},
		{text: "unknown://host", kind: Server, dir: "", redacted: "unknown://host"},
	} {
		l, err := Parse(test.text)
		if err != nil || l.Kind() != test.kind || l.Dir() != test.dir || l.String() != test.redacted {
			t.Errorf("%q: kind %d, dir %q, %q, %v, want %+v", test.text, l.Kind(), l.Dir(), l, err, test)
		}
		if (l.URL() != nil) != (test.kind == Server) || KindOf(test.text) != test.kind {
			t.Errorf("%q: URL %v, kind %d", test.text, l.URL(), KindOf(test.text))
		}
		if again, err := Parse(l.Text()); err != nil || again.String() != l.String() || again.Text() != l.Text() {
			t.Errorf("%q: %q is %q, %v", test.text, l.Text(), again.Text(), err)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for text, want := range map[string]string{
		"file://host/path":       `location "file://host/path": no directory for "file"; use a path, file:///path or "memory:"`,
		"file://%zz":             `location "(not a URL)": no directory for "file"`,
		"redis://:secret@%zz":    "location: not a URL, want for instance redis://host:6379/0?namespace=shop",
		"redis://:secret@h:port": "location: not a URL",
	} {
		if l, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") || l != (Location{}) {
			t.Errorf("%q: %v, %v, want %q", text, l, err, want)
		}
	}
}
