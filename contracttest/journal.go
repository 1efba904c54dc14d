package contracttest

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/ports"
)

// maxAnswer is the longest answer of a manager that is read, in bytes
// (docs/PROTOCOLS.md, "Rules for every request").
const maxAnswer = 16 << 20

// IssueJournal is the suite of ports.IssueJournal; see CredentialStore.
func IssueJournal[S ports.IssueJournal](t *testing.T, fresh func(*testing.T) (open func() S)) {
	names(t, "IssueJournal")
	t.Run("pending enrollment", func(t *testing.T) {
		journaled(t, fresh, pending, map[string]ports.PendingIssue{
			"full":           pending(1),
			"only an issuer": {Issuer: "https://manager.example.org", Phase: ports.PhaseIdle}, // what enroll was given
			"before the answer": {
				Issuer: "https://[::1]:8443/päth/", Phase: ports.PhaseSubmitted, IdempotencyKey: "0d6e5a0c-6a40-4b0f-8f53-0c8a3f5d7e11",
			},
			"unusual resume value": {Issuer: "https://a.example", Phase: ports.PhasePending, Resume: ports.NewSecret("<&>\"\\/ \u2028é\x7f")},
		}, func(j S) kept[ports.PendingIssue] {
			return kept[ports.PendingIssue]{accessors[ports.PendingIssue]{j.LoadPending, j.SavePending}, nil}
		})
	})
	t.Run("private key", func(t *testing.T) {
		journaled(t, fresh, privateKey, map[string]ports.Secret{
			"one line":       privateKey(1),
			"many lines":     ports.NewSecret(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: make([]byte, 2400)}))),
			"CRLF line ends": ports.NewSecret(strings.ReplaceAll(privateKey(1).Reveal(), "\n", "\r\n")),
			"no line end":    ports.NewSecret(strings.TrimSpace(privateKey(1).Reveal())),
		}, func(j S) kept[ports.Secret] {
			return kept[ports.Secret]{accessors[ports.Secret]{j.LoadKey, j.SaveKey}, j.EraseKey}
		})
	})
	t.Run("received bundle", func(t *testing.T) {
		journaled(t, fresh, received, map[string]ports.ReceivedBundle{
			"of a request":           received(1),
			"of a renewal":           received(2),
			"being installed":        {Received: raw("{}"), Issuer: "https://a.example", ReceivedAt: instant(1), PreviousKept: true},
			"not text":               {Received: raw("\x00\xff\xfe{"), Issuer: "https://a.example"},
			"empty":                  {Issuer: "https://a.example"},
			"as long as answers are": {Received: raw(strings.Repeat("0123456789abcde\n", maxAnswer/16)), Issuer: "https://a.example"},
			// What version 1 left of a renewal.
			"with a key":    {Interpreted: &ports.Bundle{CA: []byte("ca"), Cert: []byte("cert"), Key: privateKey(1)}, Issuer: "https://a.example"},
			"with nothing":  {Interpreted: &ports.Bundle{}, Issuer: "https://a.example"},
			"that is bytes": {Interpreted: &ports.Bundle{CA: []byte{0, 0xff}, CRL: []byte{}}, Issuer: "https://a.example"},
		}, func(j S) kept[ports.ReceivedBundle] {
			return kept[ports.ReceivedBundle]{accessors[ports.ReceivedBundle]{j.LoadBundle, j.SaveBundle}, j.EraseBundle}
		})
	})

	t.Run("room for a bundle leaves what is stored untouched", func(t *testing.T) {
		is := is.New(t)
		open := fresh(t)
		j := open()
		is.NoErr(j.ReserveBundle(t.Context()))
		_, err := j.LoadBundle(t.Context())
		is.True(errors.Is(err, ports.ErrNotStored)) // nothing was stored
		is.NoErr(j.SaveBundle(t.Context(), received(1)))
		is.NoErr(j.ReserveBundle(t.Context()))
		is.NoErr(j.ReserveBundle(t.Context())) // once for each poll
		same(t, load(t, j.LoadBundle), received(1))
		same(t, load(t, open().LoadBundle), received(1)) // stopped before the answer
		j = open()
		is.NoErr(j.ReserveBundle(t.Context()))
		is.NoErr(j.SaveBundle(t.Context(), received(2)))
		same(t, load(t, j.LoadBundle), received(2))
		same(t, load(t, open().LoadBundle), received(2))
	})
	t.Run("room for a bundle is nothing stored", func(t *testing.T) {
		is := is.New(t)
		open := fresh(t)
		is.NoErr(open().ReserveBundle(t.Context()))
		_, err := open().LoadBundle(t.Context())
		is.True(errors.Is(err, ports.ErrNotStored))
		j := open()
		is.NoErr(j.ReserveBundle(t.Context()))
		is.NoErr(j.EraseBundle(t.Context()))
		is.NoErr(j.ReserveBundle(t.Context())) // it may be gone
		is.NoErr(j.SaveBundle(t.Context(), received(1)))
		same(t, load(t, open().LoadBundle), received(1))
	})
	t.Run("a rejected bundle is out of the way", func(t *testing.T) {
		is := is.New(t)
		open := fresh(t)
		j := open()
		_, err := j.RejectBundle(t.Context())
		is.True(errors.Is(err, ports.ErrNotStored)) // nothing to reject
		var before string
		for n := range 5 {
			is.NoErr(j.ReserveBundle(t.Context()))
			is.NoErr(j.SaveBundle(t.Context(), received(n)))
			where, err := j.RejectBundle(t.Context())
			is.NoErr(err)
			is.True(where != "" && where != before) // each has a place of its own
			before = where
			for _, j := range []ports.IssueJournal{j, open()} {
				_, err = j.LoadBundle(t.Context())
				is.True(errors.Is(err, ports.ErrNotStored))
			}
			j = open()
		}
	})
	t.Run("each is kept by itself", func(t *testing.T) {
		is := is.New(t)
		j := fresh(t)()
		is.NoErr(j.SavePending(t.Context(), pending(1)))
		is.NoErr(j.SaveKey(t.Context(), privateKey(1)))
		is.NoErr(j.SaveBundle(t.Context(), received(1)))
		same(t, load(t, j.LoadBundle), received(1))
		is.NoErr(j.EraseBundle(t.Context()))
		same(t, load(t, j.LoadKey), privateKey(1))
		is.NoErr(j.SavePending(t.Context(), pending(2)))
		is.NoErr(j.EraseKey(t.Context()))
		same(t, load(t, j.LoadPending), pending(2))
	})
	t.Run("a done context changes nothing", func(t *testing.T) {
		is := is.New(t)
		j := fresh(t)()
		is.NoErr(j.SaveBundle(t.Context(), received(1)))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		is.True(errors.Is(j.ReserveBundle(ctx), context.Canceled))
		_, err := j.RejectBundle(ctx)
		is.True(errors.Is(err, context.Canceled))
		same(t, load(t, j.LoadBundle), received(1))
	})
	t.Run("no error holds a secret", func(t *testing.T) {
		is := is.New(t)
		j := fresh(t)()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		tooEarly := time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC)
		secret := privateKey(1)
		for _, err := range []error{
			j.SavePending(ctx, pending(1)), j.SaveKey(ctx, secret), j.SaveBundle(ctx, received(1)),
			j.SavePending(t.Context(), ports.PendingIssue{Phase: ports.PhasePending, Resume: secret, SubmittedAt: tooEarly}),
			j.SaveKey(t.Context(), ports.NewSecret("x"+secret.Reveal())),
			j.SaveBundle(t.Context(), ports.ReceivedBundle{Received: ports.Received{Raw: secret}, ReceivedAt: tooEarly}),
		} {
			text := fmt.Sprintf("%v %+v %#v", err, err, err)
			for _, s := range []ports.Secret{secret, pending(1).Resume, received(1).Raw} {
				is.True(!strings.Contains(text, s.Reveal()))
			}
		}
	})
}

// kept is what an open journal offers for one of the things that it keeps.
type kept[T any] struct {
	accessors[T]
	erase func(context.Context) error // nil if the port has no such method
}

// journaled tests what a journal promises for each thing that it keeps.
func journaled[T any, S ports.IssueJournal](
	t *testing.T, fresh func(*testing.T) (open func() S),
	value func(int) T, values map[string]T, of func(S) kept[T],
) {
	keeps(t, subject[T]{
		fresh: func(t *testing.T) func() accessors[T] {
			open := fresh(t)
			return func() accessors[T] { return of(open()).accessors }
		},
		value: value, values: values,
	})
	if of(fresh(t)()).erase == nil {
		return
	}
	t.Run("erased means gone", func(t *testing.T) {
		is := is.New(t)
		open := fresh(t)
		j := of(open())
		is.NoErr(j.erase(t.Context())) // nothing stored is no error
		is.NoErr(j.save(t.Context(), value(1)))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		is.True(errors.Is(j.erase(ctx), context.Canceled))
		same(t, load(t, j.load), value(1))
		is.NoErr(j.erase(t.Context()))
		for _, j := range []kept[T]{j, of(open())} {
			_, err := j.load(t.Context())
			is.True(errors.Is(err, ports.ErrNotStored))
		}
		is.NoErr(j.save(t.Context(), value(2))) // and another can be stored
		same(t, load(t, of(open()).load), value(2))
	})
}

func pending(n int) ports.PendingIssue {
	return ports.PendingIssue{
		Issuer:         fmt.Sprintf("https://manager-%d.example.org/api/v1", n),
		Phase:          ports.PhasePending,
		IdempotencyKey: fmt.Sprintf("0d6e5a0c-6a40-4b0f-8f53-%012d", n),
		Resume:         ports.NewSecret("token-" + strings.Repeat(fmt.Sprint(n%10), 40)),
		SubmittedAt:    instant(n),
		Polls:          n,
	}
}

// privateKey is no key, but PEM.
func privateKey(n int) ports.Secret {
	return ports.NewSecret(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: fmt.Appendf(nil, "no key, number %d", n)})))
}

func raw(answer string) ports.Received { return ports.Received{Raw: ports.NewSecret(answer)} }

// received is of a renewal where n is even.
func received(n int) ports.ReceivedBundle {
	return ports.ReceivedBundle{
		Received:     ports.Received{Raw: ports.NewSecret(fmt.Sprintf("approved, private %d", n)), Renewal: n%2 == 0},
		Issuer:       fmt.Sprintf("https://manager-%d.example.org", n),
		ReceivedAt:   instant(n),
		PreviousKept: n%3 == 0,
	}
}
