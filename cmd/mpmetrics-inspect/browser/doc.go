// Package browser tests the status page of mpmetrics-inspect serve in a real browser, Chromium. The
// package is a separate module, and its dependencies reach no user.
package browser
