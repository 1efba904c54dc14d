//go:build !unix

package main

import "os"

// reloads never come: there is no such signal.
func reloads() (_ <-chan os.Signal, stop func()) { return nil, func() {} }
