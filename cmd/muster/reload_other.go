//go:build !unix

package main

import "os"

// reloads never come: there is no such signal.
func reloads() (_ <-chan os.Signal, stop func()) { return nil, func() {} }

// outliveReaders has nothing to do where no signal tells of a closed pipe.
func outliveReaders() {}
