package loadtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// jobsAtOnce is the number of jobs at a time: one job dies while another counts.
	jobsAtOnce = 2

	// crashEvery: every tenth job is killed after its last order instead of returning.
	crashEvery = 10

	// scrapesTimed is how many scrapes are timed before and after the jobs.
	scrapesTimed = 50

	// settleTime is the time for the absorption of dead jobs after the last job. Absorption is
	// background work, paced on purpose.
	settleTime = 5 * time.Second

	// spareFiles are the files beside the files of living processes: the archive, the lock, and
	// some files about to be removed.
	spareFiles = 4
)

// Churn is the account of many short jobs during the work of the workers.
type Churn struct {
	Jobs      int // ended
	Crashed   int // killed, among Jobs
	Took      time.Duration
	Settled   time.Duration // from the end of the last job until few files were left, or until patience ended
	MostFiles int           // files in the directory, when there were most
	Files     int           // in the end
	Before    time.Duration // of a scrape in the middle, before the first job
	After     time.Duration // the same, after the absorption of dead jobs
	Series    []Tally       // of the jobs, in the end; a family's stand together
	Watch     *Watch        // of all scrapes, timed scrapes included
}

// Tally is the value of a total in a scrape, and the exact expected value.
type Tally struct {
	Total
	Got, Want float64
}

func (t Tally) String() string { return fmt.Sprintf("%s %v of %v", t.Total, t.Got, t.Want) }

// Families sums the series by family.
func (c *Churn) Families() []Tally {
	var all []Tally
	for _, s := range c.Series {
		if len(all) == 0 || all[len(all)-1].Family != s.Family {
			all = append(all, Tally{Total: Total{Family: s.Family}})
		}
		all[len(all)-1].Got += s.Got
		all[len(all)-1].Want += s.Want
	}
	return all
}

// churn runs the jobs, scraping all the while, and waits until their files are gone.
func (t Trial) churn(ctx context.Context, service *Service, load *Load) (*Churn, error) {
	ledger := NewLedger()
	url := service.URL() + "/metrics"
	result := &Churn{Watch: NewWatch(append(load.Bounds(), ledger.Bounds()...)...)}
	result.Before = result.Watch.Times(ctx, url, scrapesTimed)

	t.Logf("%d jobs, %d at a time", t.Jobs, jobsAtOnce)
	begin := time.Now()
	watching, enough := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		result.Watch.Run(watching, url, scrapeEvery)
	}()
	err := t.runJobs(ctx, ledger, result)
	enough()
	<-watched
	if err != nil {
		return nil, err
	}
	result.Took = time.Since(begin)

	if err := t.settle(ctx, url, result); err != nil {
		return nil, err
	}
	result.After = result.Watch.Times(ctx, url, scrapesTimed)
	result.Files, err = countFiles(t.Dir)
	if err != nil {
		return nil, err
	}
	for _, b := range ledger.Bounds() {
		result.Series = append(result.Series, Tally{Total: b.Total, Got: result.Watch.Last(b.Total), Want: b.Least()})
	}
	return result, ctx.Err()
}

// runJobs runs all jobs, some at a time, and returns when the last one has ended.
func (t Trial) runJobs(ctx context.Context, ledger *Ledger, result *Churn) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // the first error ends all
	var (
		all  sync.WaitGroup
		next atomic.Int64
		mu   sync.Mutex // guards result and errs
		errs []error
	)
	for range jobsAtOnce {
		all.Go(func() {
			for n := int(next.Add(1)); n <= t.Jobs && ctx.Err() == nil; n = int(next.Add(1)) {
				crash := n%crashEvery == 0
				err := t.runJob(ctx, ledger, ordersOf(n), crash)
				files, countErr := countFiles(t.Dir)
				mu.Lock()
				if err = errors.Join(err, countErr); err != nil {
					errs = append(errs, fmt.Errorf("job %d: %w", n, err))
					cancel()
				}
				result.Jobs++
				if crash {
					result.Crashed++
				}
				result.MostFiles = max(result.MostFiles, files)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// runJob runs one job to its end. The job has to end as expected.
func (t Trial) runJob(ctx context.Context, ledger *Ledger, orders []Order, crash bool) error {
	args := []string{"-job"}
	if crash {
		args = append(args, "-crash")
	}
	for _, o := range orders {
		args = append(args, o.String())
	}
	job := command(ctx, t.Binary, t.Dir, t.Stderr, args...)
	job.Env = append(job.Env, "GORACE=atexit_sleep_ms=50") // a race detector holds each process for a second otherwise
	ledger.Give(orders)
	err := job.Run()
	if crash && job.ProcessState != nil && !job.ProcessState.Exited() {
		err = nil // killed as expected
	} else if crash {
		err = fmt.Errorf("it was to be killed: %v", job.ProcessState)
	}
	if err != nil {
		return err
	}
	ledger.Done(orders)
	return nil
}

// settle scrapes until few files are left or settleTime is over: scrapes start absorptions.
func (t Trial) settle(ctx context.Context, url string, result *Churn) error {
	begin := time.Now()
	for ctx.Err() == nil {
		files, err := countFiles(t.Dir)
		if err != nil {
			return err
		}
		result.Settled = time.Since(begin)
		if files <= t.filesAllowed() || result.Settled > settleTime {
			return nil
		}
		result.Watch.Once(ctx, url)
		time.Sleep(scrapeEvery)
	}
	return ctx.Err()
}

// filesAllowed is how many files the directory may have when only the workers live.
func (t Trial) filesAllowed() int { return t.Workers + spareFiles }

// countFiles counts all names in the directory of the metrics.
func countFiles(dir string) (int, error) {
	entries, err := os.ReadDir(filepath.Join(dir, "mpmetrics"))
	if err != nil {
		return 0, fmt.Errorf("count files: %w", err)
	}
	return len(entries), nil
}
