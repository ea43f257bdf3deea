package compact

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/pace"
)

// Opts are the options of [Run]. The zero value is right for most services.
type Opts struct {
	Limits

	// ArchiveDir is a directory for the archive. Empty: $MPMETRICS_ARCHIVE_DIR, then the former
	// place of the archive, then the directory of the files. If totals should outlast a reboot, set
	// ArchiveDir to a directory on a disk, to the same directory in all processes. Each shared
	// directory needs an archive directory of its own. Values outside the archive are lost when the
	// machine goes down, and totals restart then: call [Run] as the last step of a shutdown.
	ArchiveDir string

	// GroupShared and AllowNetworkFS need the same values as in store.Opts.
	GroupShared    bool
	AllowNetworkFS bool

	// MinDead is the least number of dead processes for which an absorption starts.
	// 0: one.
	MinDead int

	// Logger takes one line for each file that is put aside. nil: slog.Default().
	Logger *slog.Logger
}

// Limits bounds the content of the archive, and the share of a core that absorbing takes.
// The zero value is right for most services.
type Limits struct {
	// DeadSampleRetention is the time for which scrapes show the samples of All gauges after the
	// absorption of their process. 0: one hour.
	DeadSampleRetention time.Duration

	// MaxArchiveSeries bounds the series in the archive. Beyond the bound, series without a live
	// process are dropped, the least recently touched series first, and count in
	// mpmetrics_forgotten_series_total. 0: 500,000. A scraper keeps about half a kilobyte of memory
	// for each series.
	MaxArchiveSeries int

	// ForgetAfter is the time that a series without a live process stays in the archive. The series
	// is dropped whole if no process with the series was absorbed for so long, and the clock was not
	// set during the last day. 0: 15 days, as long as Prometheus keeps samples by default.
	ForgetAfter time.Duration

	// CoreShare bounds the share of one core for absorption, from 0 to 1. 0: a twentieth, and up to
	// a half while more than 512 dead files wait. 1: no pauses.
	CoreShare float64
}

const (
	defaultDeadSampleRetention = time.Hour
	defaultMaxArchiveSeries    = 500_000
	defaultForgetAfter         = 15 * 24 * time.Hour
)

// Check returns an error that names each invalid field: negative durations and counts, and a share
// of a core outside 0 to 1.
func (l Limits) Check() error {
	var errs []error
	if l.DeadSampleRetention < 0 {
		errs = append(errs, fmt.Errorf("Limits.DeadSampleRetention is %v: want a positive duration, or 0 for %v", l.DeadSampleRetention, defaultDeadSampleRetention))
	}
	if l.MaxArchiveSeries < 0 {
		errs = append(errs, fmt.Errorf("Limits.MaxArchiveSeries is %d: want 1 or more, or 0 for %d", l.MaxArchiveSeries, defaultMaxArchiveSeries))
	}
	if l.ForgetAfter < 0 {
		errs = append(errs, fmt.Errorf("Limits.ForgetAfter is %v: want a positive duration, or 0 for %v", l.ForgetAfter, defaultForgetAfter))
	}
	if !(l.CoreShare >= 0 && l.CoreShare <= 1) { // NaN too
		errs = append(errs, fmt.Errorf("Limits.CoreShare is %v: want 0 to 1, or 0 for %v", l.CoreShare, pace.Share))
	}
	return errors.Join(errs...)
}

// check checks all fields.
func (o Opts) check() error {
	err := o.Limits.Check()
	if o.MinDead < 0 {
		err = errors.Join(err, fmt.Errorf("Opts.MinDead is %d: want 1 or more, or 0 for 1", o.MinDead))
	}
	return err
}

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
