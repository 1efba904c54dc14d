//go:build !windows

package main

import "github.com/spf13/cobra"

// hostable changes nothing: to a service manager like systemd a service is a
// program like others.
func (*program) hostable(*cobra.Command) {}
