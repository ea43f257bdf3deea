// Package trial holds the tests that need several processes: real children of
// the test binary, killed by SIGKILL at any point, with a witness outside them
// that knows what they had finished.
package trial
