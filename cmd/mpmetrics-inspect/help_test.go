package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// The package comment lists the verbs as the help does.
func TestPackageComment(t *testing.T) {
	b, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	root := (&environment{}).root()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if line := fmt.Sprintf("//\t%-11s %s\n", cmd.Name(), cmd.Short); !strings.Contains(string(b), line) {
			t.Errorf("main.go has no line %q", line)
		}
		for _, text := range []string{cmd.Short, cmd.Long} {
			for line := range strings.SplitSeq(text, "\n") {
				if cmd.Name() != "completion" && len(line) > 90 {
					t.Errorf("%s: a line of %d characters: %s", cmd.Name(), len(line), line)
				}
			}
		}
	}
}
