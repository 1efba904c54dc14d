// Package contracttest holds the suites that every adapter of a port passes:
// a function for each port, which states each guarantee of the port's doc
// comment as a subtest of that name. The table of ports says which adapter
// runs which.
//
// A suite calls fresh once for each test to get what it needs. For a store, each
// call of fresh makes an empty place, and each call of open stands for the start
// of a process there, the one before having ended: what is read after another
// open has survived a restart.
package contracttest

import "testing"

// names tells tools/gotest which suite t runs.
func names(t *testing.T, suite string) { t.Attr("contract-suite", suite) }
