package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (p *program) configCommand() *cobra.Command {
	config := &cobra.Command{
		Use:   "config",
		Short: "The configuration in force and where each value came from",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			config, err := p.configure("")
			if err != nil {
				return err
			}
			for _, v := range config.Values() {
				if v.Name == "MUSTER_MANAGER_URL" && config.fromEnrollment {
					v.Value, v.From = config.settings.ManagerURL.String(), "from enrollment"
				}
				p.say(fmt.Sprintf("%-36s %-44s %s", v.Name, v.Value, v.From))
			}
			p.printWarnings(config)
			return nil
		},
	}
	config.AddCommand(p.configSetCommand())
	return config
}
