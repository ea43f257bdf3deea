package directory

import (
	"os"
	"strconv"
)

// Environment variables that stand for the fields of Access, for processes that
// nobody configures otherwise. The values are those of strconv.ParseBool.
const (
	EnvGroupShared    = "MPMETRICS_GROUP_SHARED"
	EnvAllowNetworkFS = "MPMETRICS_ALLOW_NETWORK_FS"
)

// Access says what a directory may be like that others would not use. The zero
// value is the safest.
type Access struct {
	// GroupShared opens the subdirectory to the users of its group: they read
	// the files of each other's processes, and absorb them. Whoever is in the
	// group can forge values, and remove files.
	GroupShared bool

	// AllowNetworkFS permits a file system whose locks and pages may be those of
	// another machine.
	AllowNetworkFS bool
}

// WithEnv adds what the environment says.
func (a Access) WithEnv() Access {
	a.GroupShared = a.GroupShared || enabled(EnvGroupShared)
	a.AllowNetworkFS = a.AllowNetworkFS || enabled(EnvAllowNetworkFS)
	return a
}

func enabled(name string) bool {
	on, err := strconv.ParseBool(os.Getenv(name))
	return err == nil && on
}

// Readers says who else may use a file.
type Readers int

// Beside its owner, a file in a directory that is not GroupShared is nobody's.
const (
	// GroupReads is for the file of a process: who can write to it can truncate
	// it, and that ends its owner.
	GroupReads Readers = iota
	// GroupWrites is for what all processes replace, lock or link to.
	GroupWrites
)
