package compact

import (
	"log/slog"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/directory"
)

// Opts says how to absorb. The zero value is right for most.
type Opts struct {
	// ArchiveDir is a directory for the archive. Empty: $MPMETRICS_ARCHIVE_DIR,
	// then where the archive was before, then the directory of the files. Set it
	// to one on a disk, in all processes alike, when totals should outlast a
	// reboot; each shared directory needs one of its own. What is not in the
	// archive when the machine goes down is lost, and totals begin anew then: run
	// Run as the last step of a shutdown.
	ArchiveDir string

	// DeadSampleRetention is how long the samples of All gauges are shown after
	// their process was absorbed. 0: one hour.
	DeadSampleRetention time.Duration

	// MaxArchiveSeries bounds the series in the archive. Of those beyond it that
	// no living process has, the ones that were touched least recently leave, and
	// count in mpmetrics_forgotten_series_total. 0: 500,000. A scraper keeps
	// about half a kilobyte of memory for each.
	MaxArchiveSeries int

	// ForgetAfter is how long a series stays that no living process has: it leaves
	// whole when no process that had it was absorbed for so long. 0: 15 days, as
	// long as Prometheus keeps samples by default.
	ForgetAfter time.Duration

	// CoreShare bounds the part of one core that absorbing may take, between 0
	// and 1. 0: a twentieth, and up to a half while more than 512 dead files wait.
	// 1: no pauses.
	CoreShare float64

	// GroupShared and AllowNetworkFS are as in store.Opts, and have to be what they
	// are there.
	GroupShared    bool
	AllowNetworkFS bool

	// MinDead is the least number of dead files that are worth beginning. 0: one.
	MinDead int

	// Logger takes one line for each file that is put aside. nil: slog.Default().
	Logger *slog.Logger
}

const (
	defaultDeadSampleRetention = time.Hour
	defaultMaxArchiveSeries    = 500_000
	defaultForgetAfter         = 15 * 24 * time.Hour
	defaultCoreShare           = 0.05

	// manyDead is when absorbing may take hurryShare: the files cost every scrape
	// more than absorbing them does.
	manyDead   = 512
	hurryShare = 0.5
)

func (o Opts) access() directory.Access {
	return directory.Access{GroupShared: o.GroupShared, AllowNetworkFS: o.AllowNetworkFS}.WithEnv()
}

func (o Opts) withDefaults() Opts {
	if o.DeadSampleRetention == 0 {
		o.DeadSampleRetention = defaultDeadSampleRetention
	}
	if o.MaxArchiveSeries == 0 {
		o.MaxArchiveSeries = defaultMaxArchiveSeries
	}
	if o.ForgetAfter == 0 {
		o.ForgetAfter = defaultForgetAfter
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

// Pause is how long to wait after an absorption that took so long, while so many
// dead files wait: so that absorbing takes no more than CoreShare of a core.
func (o Opts) Pause(took time.Duration, waiting int) time.Duration {
	share := defaultCoreShare
	switch {
	case o.CoreShare > 0:
		share = min(o.CoreShare, 1)
	case waiting > manyDead:
		share = hurryShare
	}
	return time.Duration(float64(took) * (1/share - 1))
}
