// Package browser tests the status page of mpmetrics-inspect serve in a real browser, Chromium. It is a module of its
// own, so that what drives the browser reaches nobody else.
package browser
