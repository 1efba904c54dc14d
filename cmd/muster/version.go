package main

import (
	"encoding/json"
	"runtime"

	"github.com/spf13/cobra"
)

func (p *program) versionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "The program's version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if !asJSON {
				p.say(versionLine())
				return nil
			}
			line, err := json.Marshal(map[string]string{
				"version": version, "os": runtime.GOOS, "arch": runtime.GOARCH, "go": runtime.Version(),
			})
			if err == nil {
				p.say(string(line))
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return cmd
}

func versionLine() string {
	return "muster " + version + " (" + runtime.GOOS + "; " + runtime.GOARCH + "; " + runtime.Version() + ")"
}
