package directory

import (
	"os"
	"strconv"
)

// Environment variables for the fields of Access, for processes without a configuration.
// strconv.ParseBool reads the values.
const (
	EnvGroupShared    = "MPMETRICS_GROUP_SHARED"
	EnvAllowNetworkFS = "MPMETRICS_ALLOW_NETWORK_FS"
)

// Access permits directories that mpmetrics refuses by default. The zero value is the safest.
type Access struct {
	// GroupShared opens the subdirectory to the users of its group: processes read the files of
	// each other, and absorb them. Every user in the group can forge values, and remove files.
	GroupShared bool

	// AllowNetworkFS permits a file system with locks and pages that other machines may share or
	// change.
	AllowNetworkFS bool
}

// WithEnv adds the settings of the environment.
func (a Access) WithEnv() Access {
	a.GroupShared = a.GroupShared || enabled(EnvGroupShared)
	a.AllowNetworkFS = a.AllowNetworkFS || enabled(EnvAllowNetworkFS)
	return a
}

func enabled(name string) bool {
	on, err := strconv.ParseBool(os.Getenv(name))
	return err == nil && on
}

// Readers are the other users of a file.
type Readers int

// In a directory that is not GroupShared, only the owner uses a file.
const (
	// GroupReads is for the file of a process: a user who can write to the file can truncate the
	// file and so end its owner.
	GroupReads Readers = iota
	// GroupWrites is for files that all processes replace, lock or link to.
	GroupWrites
)
