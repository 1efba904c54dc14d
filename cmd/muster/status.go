package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/muster-agent/muster/adapters/statussocket"
	"github.com/muster-agent/muster/app"
	"github.com/muster-agent/muster/domain/exitcode"
	"github.com/muster-agent/muster/domain/health"
	"github.com/muster-agent/muster/ports"
)

func (p *program) statusCommand() *cobra.Command {
	var asJSON, verbose bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "What this machine is and how it stands",
		Long: "Status asks the running agent, or else reads the state directory. It exits with 0\n" +
			"when all is well, 2 while something is under way, and 1 when it is not running,\n" +
			"not configured, or a person must act.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.status(cmd.Context(), asJSON, verbose) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	cmd.Flags().BoolVar(&verbose, "verbose", false, "with the paths of missing files")
	return cmd
}

func (p *program) status(ctx context.Context, asJSON, verbose bool) error {
	config, err := p.configure("")
	if err != nil {
		return err
	}
	p.printWarnings(config)
	st, err := statussocket.NewClient(config.settings.StateDir).Status(ctx)
	if errors.Is(err, ports.ErrNotRunning) {
		st, err = statusFromDisk(ctx, config)
	}
	if err != nil {
		return err
	}
	if asJSON {
		p.say(strings.TrimSuffix(string(statussocket.Encode(st)), "\n"))
	} else {
		p.describe(st, verbose)
	}
	if p.stdout.failed() == nil { // else nobody was told
		p.code = exitcode.OfStatus(st.State)
	}
	return nil
}

// statusFromDisk is how the machine stands while no agent runs.
func statusFromDisk(ctx context.Context, config *configuration) (ports.Status, error) {
	settings := config.settings
	holder, err := processLock(settings.StateDir).Holder(ctx)
	if err == nil && (holder.Command == "run" || holder.Command == "") { // who holds it without a name could not write one
		return ports.Status{}, fmt.Errorf("asking the agent, process %d: %w", holder.PID, ports.ErrNotAnswering)
	}
	store, err := config.looked()
	if err != nil {
		return ports.Status{}, err
	}
	name, err := hostname()
	if err != nil {
		return ports.Status{}, err
	}
	return app.StatusFromDisk(ctx, app.Disk{
		Settings: settings, Version: version, Hostname: name, Identities: store, Credentials: store, Retries: store,
		Certificates: certificateFiles(settings), Journal: store, Now: time.Now(),
	}), nil
}

// describe prints a status for a person.
func (p *program) describe(st ports.Status, verbose bool) {
	p.say(health.Sentence(st, time.Now()))
	row := func(name, text string) {
		if text != "" {
			p.say(fmt.Sprintf("  %-12s %s", name, text))
		}
	}
	at := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.Local().Format("2006-01-02 15:04:05 MST")
	}
	join := func(parts ...string) string {
		var kept []string
		for _, part := range parts {
			if part != "" {
				kept = append(kept, part)
			}
		}
		return strings.Join(kept, ", ")
	}
	with := func(word, text string) string {
		if text == "" {
			return ""
		}
		return word + " " + text
	}
	row("state", string(st.State))
	row("machine", join(st.MachineUID, with("by", string(st.MachineUIDSource))))
	row("agent", join(st.AgentID, with("on", st.Hostname)))
	if st.Credential.Present {
		row("key", join(string(st.Credential.Source), with("fingerprint", st.Credential.Fingerprint), with("since", at(st.Credential.StoredAt)), with("protected by", st.Credential.Protection)))
	} else {
		row("key", "none")
	}
	row("site", join(string(st.Site.State), with("since", at(st.Site.Since)), with("next attempt", at(st.Site.NextAttempt)), st.Site.LastError))
	row("manager", join(string(st.Issuer.State), with("next attempt", at(st.Issuer.NextAttempt)), st.Issuer.LastError))
	certificate := join(string(st.Certificate.Status), with("until", at(st.Certificate.NotAfter)), with("renewal", at(st.Certificate.RenewAt)), st.Certificate.Detail)
	if awaited := health.AwaitedCertificate(st); awaited != "" && !verbose {
		certificate = fmt.Sprintf("%s (%s)", st.Certificate.Status, awaited)
	}
	row("certificate", certificate)
	row("relay", join(string(st.Relay.State), with("since", at(st.Relay.Since)), st.Relay.LastError))
	row("listener", st.ListenerAddr)
	if st.ClockSkew != nil && *st.ClockSkew != 0 {
		row("clock", fmt.Sprintf("the server's clock differs from this machine's by %v", *st.ClockSkew))
	}
	row("to do", st.Blocked)
}
