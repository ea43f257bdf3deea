package loadtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// The metrics of every request, a counter and a histogram.
const (
	requestsTotal   = "http_requests_total"
	requestDuration = "http_request_duration_seconds"
)

const (
	// requestsPerConn is the number of requests on one connection. The kernel spreads connections,
	// not requests, over the workers, and a new worker must get its share.
	requestsPerConn = 20

	// requestTime bounds a request: many times the time of the slowest request.
	requestTime = 10 * time.Second

	// refusedPause is the pause of a client after a refused connection.
	refusedPause = 10 * time.Millisecond
)

// Load is a number of clients with a request each, and the outcome of the requests. The counts may
// be read at any time; each request is in Sent before the sending, and afterwards in one of the
// other counts.
type Load struct {
	Sent     atomic.Int64
	Answered atomic.Int64 // status 200 and a whole body
	Broken   atomic.Int64 // on the way to a worker when the connection broke: maybe handled
	Refused  atomic.Int64 // never left: no worker listened
	Wrong    atomic.Int64 // answered with another status
}

// Bounds are the bounds of the metrics of every request.
func (l *Load) Bounds() []Bounds {
	var all []Bounds
	for _, family := range []string{requestsTotal, requestDuration} {
		all = append(all, Bounds{
			Total: Total{Family: family},
			Least: func() float64 { return float64(l.Answered.Load()) },
			Most:  func() float64 { return float64(l.Sent.Load()) },
		})
	}
	return all
}

// Run sends requests to url from all clients until ctx ends, and returns after the last answer.
func (l *Load) Run(ctx context.Context, url string, clients int) {
	var all sync.WaitGroup
	for range clients {
		all.Go(func() { l.client(ctx, url, func(int) bool { return ctx.Err() == nil }) })
	}
	all.Wait()
}

// Send sends n requests to url, in sequence.
func (l *Load) Send(ctx context.Context, url string, n int) {
	l.client(ctx, url, func(sent int) bool { return sent < n && ctx.Err() == nil })
}

// client sends requests on a separate connection until more returns false.
func (l *Load) client(ctx context.Context, url string, more func(sent int) bool) {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: requestTime}
	for i := 0; more(i); i++ {
		// The end of the load must not break a request on the way.
		request, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodPost, url, nil)
		if err != nil {
			panic(fmt.Sprintf("loadtest: bad url %q: %v", url, err))
		}
		request.Close = i%requestsPerConn == requestsPerConn-1
		l.Sent.Add(1)
		l.record(send(client, request))
	}
}

// record books the outcome of one request.
func (l *Load) record(status int, err error) {
	var network *net.OpError
	switch {
	case errors.As(err, &network) && network.Op == "dial":
		l.Refused.Add(1)
		time.Sleep(refusedPause)
	case err != nil:
		l.Broken.Add(1)
	case status != http.StatusOK:
		l.Wrong.Add(1)
	default:
		l.Answered.Add(1)
	}
}

// send sends a request once, as a POST: net/http repeats a GET after a broken connection, and the
// killed worker may have counted the first request.
func send(client *http.Client, request *http.Request) (status int, err error) {
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}
