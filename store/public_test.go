package store

import (
	"testing"

	"github.com/mpmetrics/mpmetrics/internal/archive"
	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// The public constants are written out, so that documentation shows their values, and are
// those of the format and of the packages that read the environment.
func TestPublicConstants(t *testing.T) {
	for public, internal := range map[MergeMode]layout.Mode{
		All: layout.All, LiveAll: layout.LiveAll, Sum: layout.Sum, LiveSum: layout.LiveSum,
		Min: layout.Min, LiveMin: layout.LiveMin, Max: layout.Max, LiveMax: layout.LiveMax,
		MostRecent: layout.MostRecent, LiveMostRecent: layout.LiveMostRecent, LiveMean: layout.LiveMean,
	} {
		if layout.Mode(public) != internal {
			t.Errorf("%v is %d here and %d in the format", public, public, internal)
		}
	}
	if layout.Mode(Omit).Valid() {
		t.Error("Omit is a mode of the format")
	}
	for public, internal := range map[string]string{
		EnvGroupShared: directory.EnvGroupShared, EnvAllowNetworkFS: directory.EnvAllowNetworkFS, EnvArchiveDir: archive.EnvDir,
	} {
		if public != internal {
			t.Errorf("%s is %s inside", public, internal)
		}
	}
}
