package loadtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"
)

// scrapeEvery is the interval of scrapes in a trial: short enough to see every moment around a
// kill.
const scrapeEvery = 50 * time.Millisecond

// Trial is one run of the example under load: first with workers killed under load, then with jobs
// that come and go.
type Trial struct {
	Binary   string        // from Build
	Dir      string        // for the metrics; becomes MPMETRICS_DIR
	Workers  int           // serving processes
	Clients  int           // clients that send requests all the time
	Kills    int           // workers to kill, in sequence, spread evenly over Duration
	Duration time.Duration // of the load
	Jobs     int           // short-lived processes to run after the load
	Stderr   io.Writer     // of all processes
	Logf     func(format string, args ...any)
}

// Result is the account of a trial.
type Result struct {
	URL      string
	Workers  []int // alive at the end
	Killed   []int
	Lingered []int // killed workers with a live gauge in the first scrape after

	Sent, Answered, Broken, Refused, Wrong int64 // as in Load

	Counted  float64         // by the merged counter, at the end
	Observed float64         // by the merged histogram, at the end
	InFlight float64         // by the merged gauge, at the end
	Shown    []int           // workers in the merged gauge of start times, at the end
	Alone    map[int]float64 // count of each living worker's own registry, by pid
	Watch    *Watch

	Churn *Churn // nil without jobs
}

// Run runs the trial. An error means that the trial could not be held; the findings are in the
// Result.
func (t Trial) Run(ctx context.Context) (result Result, err error) {
	t.Stderr = &sharedWriter{to: t.Stderr}
	service, err := Start(ctx, t.Binary, t.Dir, t.Workers, t.Stderr)
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, service.Stop()) }()
	result.URL = service.URL()
	t.Logf("%d workers on %s: pids %v", t.Workers, service.URL(), service.Workers())

	load := new(Load)
	result.Watch = NewWatch(load.Bounds()...)
	if err := t.underLoad(ctx, service, load, &result); err != nil {
		return Result{}, err
	}
	result.Sent, result.Answered, result.Broken = load.Sent.Load(), load.Answered.Load(), load.Broken.Load()
	result.Refused, result.Wrong = load.Refused.Load(), load.Wrong.Load()
	if err := t.atRest(ctx, service, &result); err != nil {
		return Result{}, err
	}
	if t.Jobs > 0 {
		result.Churn, err = t.churn(ctx, service, load)
		if err != nil {
			return Result{}, err
		}
	}
	return result, nil
}

// underLoad sends requests for the trial's duration, scrapes, and kills workers meanwhile.
func (t Trial) underLoad(ctx context.Context, service *Service, load *Load, result *Result) error {
	loading, cancel := context.WithTimeout(ctx, t.Duration)
	defer cancel()
	watching, enough := context.WithCancel(ctx)
	loaded, watched := make(chan struct{}), make(chan struct{})
	begin := time.Now()
	go func() {
		defer close(loaded)
		load.Run(loading, service.URL()+"/work", t.Clients)
	}()
	go func() {
		defer close(watched)
		result.Watch.Run(watching, service.URL()+"/metrics", scrapeEvery)
	}()

	var err error
	for i := range t.Kills {
		at := t.Duration * time.Duration(i+1) / time.Duration(t.Kills+1)
		select {
		case <-time.After(time.Until(begin.Add(at))):
		case <-ctx.Done():
		}
		if err = t.killOne(ctx, service, begin, result); err != nil {
			cancel()
			break
		}
	}
	<-loaded
	enough()
	<-watched
	if ctx.Err() != nil {
		return ctx.Err() // the reason of all else
	}
	return err
}

// killOne kills the oldest worker, checks that its live gauge has gone, and waits for the
// successor.
func (t Trial) killOne(ctx context.Context, service *Service, begin time.Time, result *Result) error {
	victim := service.Workers()[0]
	at := time.Since(begin)
	if err := service.Kill(ctx, victim); err != nil {
		return err
	}
	result.Killed = append(result.Killed, victim)
	scrape, err := Fetch(ctx, service.URL()+"/metrics")
	if err != nil {
		return err
	}
	shown, err := workersShown(scrape)
	if err != nil {
		return err
	}
	if slices.Contains(shown, victim) {
		result.Lingered = append(result.Lingered, victim)
	}
	if err := service.WaitWorkers(ctx, t.Workers); err != nil {
		return err
	}
	workers := service.Workers()
	t.Logf("%4.1fs: worker %d killed; %d listened in its place %d ms later", at.Seconds(), victim,
		workers[len(workers)-1], (time.Since(begin) - at).Milliseconds())
	return nil
}

// atRest reads the numbers at rest, without requests on the way.
func (t Trial) atRest(ctx context.Context, service *Service, result *Result) error {
	scrape, err := Fetch(ctx, service.URL()+"/metrics")
	if err != nil {
		return err
	}
	result.Counted, _ = scrape.Sum(requestsTotal)
	result.Observed, _ = scrape.Sum(requestDuration)
	result.InFlight, _ = scrape.Sum("http_requests_in_flight")
	result.Shown, err = workersShown(scrape)
	if err != nil {
		return err
	}
	result.Workers = service.Workers()
	slices.Sort(result.Workers)
	result.Alone, err = Alone(ctx, service.URL()+"/worker-metrics", result.Workers)
	return err
}

// workersShown lists the pids of the workers with a live gauge in a scrape of the merged metrics.
func workersShown(scrape Scrape) ([]int, error) {
	var pids []int
	for _, value := range scrape.Label("worker_start_time_seconds", "process") {
		pid, err := strconv.Atoi(value)
		if err != nil {
			return nil, fmt.Errorf("worker_start_time_seconds: label process: %w", err)
		}
		pids = append(pids, pid)
	}
	slices.Sort(pids)
	return pids, nil
}
