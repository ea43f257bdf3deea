// Package trial holds the tests with several processes: real children of the test binary, killed
// by SIGKILL at any point. A witness outside the children knows their finished work.
package trial
