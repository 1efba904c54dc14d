package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"github.com/muster-agent/muster/fakeserver"
)

// steps is the story, in order. A step finds what the ones before it left.
var steps = []step{
	{
		"A new machine is switched on",
		"Its agent knows the server, the site code and the site's enrollment key. It has no\ncredential of its own.",
		firstStart,
	},
	{
		"The power fails, and comes back",
		"The agent is killed in the middle of its work and started again.",
		powerCut,
	},
	{
		"A machine that looks like another one",
		"A second machine is switched on, whose hardware has the same identity as a machine\nthat the server has just seen under the name front-desk. That may be the same machine,\nrenamed, or a clone: an operator has to say.",
		collision,
	},
	{
		"The server goes away for a while",
		"Both connections are cut, and whatever the agents ask for then gets no answer.",
		outage,
	},
	{
		"A host that needs a certificate",
		"web-1 is to serve others over mutual TLS. It knows its manager, which the same fake\nserver plays; there an operator decides who gets a certificate.",
		register,
	},
	{
		"The operator approves it",
		"The manager then issues a certificate, and hands it out once.",
		approve,
	},
	{
		"The certificate runs out",
		fmt.Sprintf("It is valid for only %.0f seconds. Two clients keep asking for /health: one over a\nconnection that it keeps open, one over a new connection each time.", certLifetime.Seconds()),
		renewal,
	},
	{
		"The certificate is damaged",
		"web-1 is told to stop, three quarters of its certificate file are lost, and it is\nswitched on again.",
		damage,
	},
	{
		"The machines are told to stop",
		"As a service manager would.",
		stop,
	},
}

func firstStart(ctx context.Context, s *story) (string, error) {
	m := s.newMachine("desk-1")
	if err := m.start(); err != nil {
		return "", err
	}
	if err := s.awaitConnected(ctx, m); err != nil {
		return "", err
	}
	known, err := s.known(m)
	if err != nil {
		return "", err
	}
	if n := s.enrollments(); n != 1 || known.Enrollments != 1 {
		return "", fmt.Errorf("it took %d requests to enroll and %d keys in place of one", n, known.Enrollments)
	}
	if _, err := os.Stat(filepath.Join(m.stateDir(), "credentials", "agent.cak")); err != nil {
		return "", fmt.Errorf("the key is not stored: %w", err)
	}
	return fmt.Sprintf("It enrolled with one request. The server minted an API key for it, %s; the agent\nstored the key and is connected to the relay with it.", known.Fingerprint), nil
}

func powerCut(ctx context.Context, s *story) (string, error) {
	m := s.machines[0]
	before, err := s.known(m)
	if err != nil {
		return "", err
	}
	enrollments := s.enrollments()
	m.kill()
	err = s.await(ctx, "the relay notices", func(state fakeserver.State) bool { return !connected(state, m.uid) })
	if err != nil {
		return "", err
	}
	if err := m.start(); err != nil {
		return "", err
	}
	if err := s.awaitConnected(ctx, m); err != nil {
		return "", err
	}
	if n := s.enrollments() - enrollments; n != 0 {
		return "", fmt.Errorf("it asked to enroll again, %d times", n)
	}
	after, err := s.known(m)
	if err != nil {
		return "", err
	}
	if after.Fingerprint != before.Fingerprint {
		return "", fmt.Errorf("its key was %s and is %s", before.Fingerprint, after.Fingerprint)
	}
	return fmt.Sprintf("It is connected again with the key that it had stored, %s. It did not enroll again.", after.Fingerprint), nil
}

func collision(ctx context.Context, s *story) (string, error) {
	m := s.newMachine("desk-2")
	if err := s.enrollAs(ctx, "front-desk", m.uid); err != nil {
		return "", err
	}
	if err := m.start(); err != nil {
		return "", err
	}
	err := s.await(ctx, "it has asked twice", func(fakeserver.State) bool {
		known, err := s.known(m)
		return err == nil && known.Collision != nil && known.Collision.Attempts >= 2
	})
	if err != nil {
		return "", err
	}
	waiting, err := s.known(m)
	if err != nil {
		return "", err
	}
	if waiting.Enrollments != 1 || waiting.Connected {
		return "", errors.New("it got a key without an operator's word")
	}
	s.say("-> It got no key. It waits, and asks again now and then.")
	s.say("The operator confirms.")
	if err := s.server.Confirm(m.uid); err != nil {
		return "", err
	}
	if err := s.awaitConnected(ctx, m); err != nil {
		return "", err
	}
	known, err := s.known(m)
	if err != nil {
		return "", err
	}
	if known.Enrollments != 2 || known.Hostname != waiting.Collision.Hostname {
		return "", fmt.Errorf("the server has it as %s with %d keys", known.Hostname, known.Enrollments)
	}
	return fmt.Sprintf("It was given a fresh key, %s, and is connected. The key that front-desk had is void.", known.Fingerprint), nil
}

func outage(ctx context.Context, s *story) (string, error) {
	enrollments, attempts := s.enrollments(), s.count("/ws/agent")
	if err := s.server.AddFault(fakeserver.Fault{Action: fakeserver.FaultAction{Drop: fakeserver.DropBeforeResponse}}); err != nil {
		return "", err
	}
	for _, m := range s.machines {
		if err := s.server.RelayClose(m.uid); err != nil {
			return "", err
		}
	}
	err := s.await(ctx, "they try to connect", func(state fakeserver.State) bool {
		return len(state.Relay) == 0 && s.count("/ws/agent") >= attempts+6
	})
	if err != nil {
		return "", err
	}
	attempts = s.count("/ws/agent") - attempts
	s.server.ClearFaults()
	s.say("-> They tried %d times in vain, with a pause after each.", attempts)
	s.say("The server is back.")
	if err := s.awaitConnected(ctx, s.machines...); err != nil {
		return "", err
	}
	if n := s.enrollments() - enrollments; n != 0 {
		return "", fmt.Errorf("they asked to enroll again, %d times", n)
	}
	return "Both are connected again, with the keys they had.", nil
}

func stop(ctx context.Context, s *story) (string, error) {
	for _, m := range s.machines {
		if err := m.stop(ctx); err != nil {
			return "", err
		}
	}
	err := s.await(ctx, "the relay has no connection left", func(state fakeserver.State) bool { return len(state.Relay) == 0 })
	if err != nil {
		return "", err
	}
	return "All three closed their connections and ended.", nil
}

// enrollAs enrolls a machine that has no agent, and so is only a name.
func (s *story) enrollAs(ctx context.Context, hostname, uid string) error {
	body, err := json.Marshal(map[string]any{
		"site_code":      s.site.SiteCode,
		"enrollment_key": s.site.EnrollmentKey,
		"machine_uid":    uid,
		"hostname":       hostname,
		"labels":         map[string]any{"company": "", "site": "", "department": "", "device_type": "", "tags": []string{}},
	})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.server.URL()+"/api/enroll", bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.server.CACertPEM())
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}}
	answer, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("enrolling %s: %w", hostname, err)
	}
	if err := answer.Body.Close(); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusCreated {
		return fmt.Errorf("enrolling %s: the server answered %s", hostname, answer.Status)
	}
	return nil
}
