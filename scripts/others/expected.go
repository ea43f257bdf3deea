package main

import (
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

//go:embed expected.txt
var expectedText string

// key names a test in a mode.
type key struct {
	suite, mode, name string
}

// difference says why a test fails on purpose, and what the test prints then.
type difference struct {
	reason    string
	output    *regexp.Regexp
	sometimes bool // the test also passes
}

// readExpected reads the list of the tests that fail on purpose.
func readExpected(text string) (map[key]difference, error) {
	reasons := map[string]difference{}
	list := map[key]difference{}
	for i, line := range strings.Split(text, "\n") {
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || strings.HasPrefix(line, "#"):
		case words[0] == "reason":
			parts := strings.SplitN(line, "/", 3)
			if len(parts) != 3 || len(words) < 4 {
				return nil, fmt.Errorf("expected.txt:%d: want reason, name, /output/ and text", i+1)
			}
			output, err := regexp.Compile(parts[1])
			if err != nil {
				return nil, fmt.Errorf("expected.txt:%d: %w", i+1, err)
			}
			reasons[words[1]] = difference{reason: strings.TrimSpace(parts[2]), output: output}
		case len(words) != 4 || reasons[words[3]].output == nil:
			return nil, fmt.Errorf("expected.txt:%d: want suite, test, modes and reason", i+1)
		default:
			for mode := range strings.SplitSeq(words[2], ",") {
				d := reasons[words[3]]
				mode, d.sometimes = strings.CutSuffix(mode, "?")
				k := key{words[0], mode, words[1]}
				if _, twice := list[k]; twice || !slices.Contains(modes, mode) {
					return nil, fmt.Errorf("expected.txt:%d: %s twice, or no mode", i+1, k)
				}
				list[k] = d
			}
		}
	}
	return list, nil
}
