package house

import (
	"go/build"
	"path/filepath"
	"testing"
)

// systems are those that `make cross` builds for.
var systems = []string{"linux", "darwin", "freebsd", "windows"}

// No file is for one processor alone. So `make cross` builds for one processor of 64 bits on each
// system.
func TestNoFileIsForOneProcessor(t *testing.T) {
	top := root(t)
	for _, path := range files(t, ".go") {
		dir, name := filepath.Split(filepath.Join(top, path))
		for _, system := range systems {
			onAMD64, err := built(system, "amd64", dir, name)
			if err != nil {
				t.Fatal(err)
			}
			onARM64, err := built(system, "arm64", dir, name)
			if err != nil {
				t.Fatal(err)
			}
			if onAMD64 != onARM64 {
				t.Errorf("%s: built for one of amd64 and arm64 on %s: let `make cross` in the Makefile build for both", path, system)
			}
		}
	}
}

func built(system, processor, dir, name string) (bool, error) {
	c := build.Default
	c.GOOS, c.GOARCH, c.CgoEnabled = system, processor, false
	return c.MatchFile(dir, name)
}
