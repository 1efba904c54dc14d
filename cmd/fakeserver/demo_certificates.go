package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/muster-agent/muster/fakeserver"
)

// certLifetime is how long the demo's certificates are valid. Renewal is due
// after 17/30 to 2/3 of it (package domain/cert), which leaves a busy machine
// six seconds for it.
const certLifetime = 20 * time.Second

// registrations counts the requests to register at the manager so far.
func (s *story) registrations() int { return s.count("/api/v1/enroll") }

// atManager is the newest registration at the manager. Only one machine of
// the demo registers there.
func (s *story) atManager() (fakeserver.Enrollment, error) {
	all := s.server.State().Enrollments
	if len(all) == 0 {
		return fakeserver.Enrollment{}, errors.New("nobody has registered at the manager")
	}
	return all[len(all)-1], nil
}

// lastMachine is the one that was switched on last.
func (s *story) lastMachine() *machine { return s.machines[len(s.machines)-1] }

// newest is the certificate that was issued last.
func newest(e fakeserver.Enrollment) (fakeserver.Certificate, error) {
	if len(e.Certificates) == 0 {
		return fakeserver.Certificate{}, errors.New("the manager has issued no certificate")
	}
	return e.Certificates[len(e.Certificates)-1], nil
}

func register(ctx context.Context, s *story) (string, error) {
	m := s.newMachine("web-1")
	m.settings = []string{
		"MUSTER_MANAGER_URL=" + s.server.URL(),
		"MUSTER_POLLING_INTERVAL=200ms",
		"MUSTER_REPORT_IP=127.0.0.1", // which its certificate is then good for
	}
	if err := m.start(); err != nil {
		return "", err
	}
	if err := s.awaitPolls(ctx, 2); err != nil {
		return "", err
	}
	sentence, err := m.sentence(ctx, "pending", 2)
	if err != nil {
		return "", err
	}
	s.say("-> It made a private key and asked the manager to sign it. It has no certificate yet, and\n   asks again now and then. `muster status` on it says:\n     %s", sentence)
	s.say("The power fails, and comes back.")

	m.kill()
	waiting, err := s.atManager()
	if err != nil {
		return "", err
	}
	if err := m.start(); err != nil {
		return "", err
	}
	if err := s.awaitPolls(ctx, waiting.Polls+2); err != nil {
		return "", err
	}
	waiting, err = s.atManager()
	switch {
	case err != nil:
		return "", err
	case s.registrations() != 1:
		return "", fmt.Errorf("it registered %d times", s.registrations())
	case waiting.State != fakeserver.EnrollmentPending || !waiting.CSR || len(waiting.Certificates) != 0:
		return "", fmt.Errorf("the manager has it as %s with %d certificates, and a key of its own: %t", waiting.State, len(waiting.Certificates), waiting.CSR)
	}
	return "It goes on waiting where it was. It did not register again.", nil
}

// awaitPolls waits until the host has asked for its certificate n times.
func (s *story) awaitPolls(ctx context.Context, n int) error {
	return s.await(ctx, fmt.Sprintf("it has asked for its certificate %d times", n), func(state fakeserver.State) bool {
		last := len(state.Enrollments) - 1
		return last >= 0 && state.Enrollments[last].Polls >= n
	})
}

func approve(ctx context.Context, s *story) (string, error) {
	m := s.lastMachine()
	waiting, err := s.atManager()
	if err != nil {
		return "", err
	}
	if err := s.server.Approve(waiting.ID); err != nil {
		return "", err
	}
	answer, err := m.serves(ctx)
	if err != nil {
		return "", err
	}
	asked, err := s.atManager()
	if err != nil {
		return "", err
	}
	if asked.State != fakeserver.EnrollmentEnrolled || s.registrations() != 1 {
		return "", fmt.Errorf("the manager has it as %s after %d registrations", asked.State, s.registrations())
	}
	if err := m.refusesStrangers(ctx); err != nil {
		return "", err
	}
	return fmt.Sprintf("It fetched its certificate and serves with it. A client that shows a certificate of the\nsame CA (here it is web-1's own) asks for https://%s/health\nand is answered:\n%s\nA client without a certificate gets no answer.", answer.addr, indent(answer.body)), nil
}

func renewal(ctx context.Context, s *story) (string, error) {
	m := s.lastMachine()
	before, err := s.atManager()
	if err != nil {
		return "", err
	}
	old, err := newest(before)
	if err != nil {
		return "", err
	}
	now, err := m.awaitState(ctx, "serving")
	if err != nil {
		return "", err
	}
	identity, err := m.identity(ctx)
	if err != nil {
		return "", err
	}
	open := &kept{config: identity}
	defer open.close()
	kept, fresh := newAsker(now.addr(), open), newAsker(now.addr(), fresh(identity))

	// The tenth question after the first that shows the new certificate is the last.
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var left time.Duration
	for renewed := 0; renewed < 10; {
		if _, err := kept.ask(ctx); err != nil {
			return "", fmt.Errorf("request %d over the open connection: %w", kept.asked, err)
		}
		answer, err := fresh.ask(ctx)
		if err != nil {
			return "", fmt.Errorf("request %d over a new connection: %w", fresh.asked, err)
		}
		if answer.serial != old.Serial {
			if renewed == 0 {
				left = time.Until(old.NotAfter)
			}
			renewed++
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return "", fmt.Errorf("the certificate was not renewed: %w", context.Cause(ctx))
		}
	}

	after, err := s.atManager()
	if err != nil {
		return "", err
	}
	if after.ID != before.ID || s.registrations() != 1 || len(after.Certificates) != len(before.Certificates)+1 {
		return "", fmt.Errorf("it took %d registrations and %d certificates", s.registrations(), len(after.Certificates))
	}
	current, err := newest(after)
	if err != nil {
		return "", err
	}
	answer, err := fresh.ask(ctx)
	switch {
	case err != nil:
		return "", err
	case answer.serial != current.Serial:
		return "", fmt.Errorf("it serves with certificate %s and not with the newest, %s", answer.serial, current.Serial)
	case open.opened != 1:
		return "", fmt.Errorf("the connection that was to stay open was lost, %d times", open.opened-1)
	}
	return fmt.Sprintf("It renewed its certificate with the old one as proof, %.1f s before that ran out, and\nwithout an operator. %d requests meanwhile, none failed; the connection that was open\nstayed open, and new ones were shown the new certificate.", left.Seconds(), kept.asked+fresh.asked), nil
}

func damage(ctx context.Context, s *story) (string, error) {
	m := s.lastMachine()
	before, err := s.atManager()
	if err != nil {
		return "", err
	}
	if err := m.stop(ctx); err != nil {
		return "", err
	}
	file := filepath.Join(m.stateDir(), "certs", "server.pem")
	content, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	rest := content[:len(content)/4] // ends within the first certificate
	if err := os.WriteFile(file, rest, 0o644); err != nil {
		return "", err
	}
	if err := m.start(); err != nil {
		return "", err
	}
	sentence, err := m.sentence(ctx, "blocked", 1)
	if err != nil {
		return "", err
	}
	now, err := m.parsedStatus(ctx)
	if err != nil {
		return "", err
	}
	if now.Certificate.Status != "corrupt" || s.registrations() < 2 {
		return "", fmt.Errorf("it says that its certificate is %s, and has registered %d times", now.Certificate.Status, s.registrations())
	}
	s.say("-> It saw the damage and asked the manager for another certificate. The manager knows\n   this host already, and does not give its certificate to whoever asks. `muster status`:\n     %s", sentence)
	s.say("The operator approves it again.")

	if err := s.server.Approve(before.ID); err != nil {
		return "", err
	}
	if _, err := m.serves(ctx); err != nil {
		return "", err
	}
	after, err := s.atManager()
	if err != nil {
		return "", err
	}
	healed, err := os.ReadFile(file)
	switch {
	case err != nil:
		return "", err
	case after.ID == before.ID || after.State != fakeserver.EnrollmentEnrolled:
		return "", fmt.Errorf("the manager has it as %s", after.State)
	case bytes.Equal(healed, rest):
		return "", errors.New("the damaged file is still there")
	case m.process.hasEnded(): // nobody here starts one that does
		return "", fmt.Errorf("its agent ended by itself: %w", m.process.err())
	}
	return "It fetched a new certificate, put it in the place of the damaged one, and serves again.\nIts agent ran all the while.", nil
}
