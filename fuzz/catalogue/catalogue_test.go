//go:build linux

package catalogue

import (
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/mpmetrics/mpmetrics/internal/testing/catalogue"
)

var libraries = slices.Concat(clientGolang, frameworks, telemetry, clients)

func TestMain(m *testing.M) { catalogue.Main(m, append(libraries, defaultRegistry)) }

func TestLibraries(t *testing.T) { catalogue.Test(t, libraries) }

func TestRulesOfAllLibraries(t *testing.T) {
	catalogue.TestRules(t, "testdata/*.txt", "*/testdata/*.txt")
}

// Some libraries take minutes to build, so they have a build tag of their own, and run in the long
// tests only. Their golden files are compared with the rules each time.
func TestLibrariesThatBuildForMinutes(t *testing.T) {
	if os.Getenv("MPMETRICS_SOAK") == "" {
		t.Skip("builds for minutes")
	}
	for _, dir := range []string{"controllerruntime", "dskit"} {
		cmd := exec.Command("go", "test", "-tags=soak", "-count=1", ".")
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", dir, err, out)
		}
	}
}
