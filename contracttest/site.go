package contracttest

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/ports"
)

// SiteScript is how a server behaves towards every request.
type SiteScript struct {
	// Answer is what the enroller is to make of it. Reasons and details are
	// the words that the server sends along, as far as it sends any.
	Answer ports.Answer[ports.SiteOutcome]
	// Hang: the server takes the request and never answers.
	Hang bool
}

// SiteServer is a server that follows a script, and an enroller that asks it.
type SiteServer struct {
	Enroller ports.SiteEnroller
	// Requests are those that reached the server, oldest first.
	Requests func() []ports.SiteRequest
}

// SiteEnroller is the suite of ports.SiteEnroller. Each fresh is a server of
// its own.
func SiteEnroller(t *testing.T, fresh func(*testing.T, SiteScript) SiteServer) {
	names(t, "SiteEnroller")
	key := ports.NewSecret("cak_contract0123456789")
	request := siteRequest("muid_" + strings.Repeat("0123456789abcdef", 4))
	date := time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)

	answers := []struct {
		name   string
		answer ports.Answer[ports.SiteOutcome]
	}{
		{"enrolled new", ports.Answer[ports.SiteOutcome]{Outcome: ports.SiteEnrolledNew{Key: key}, ServerTime: date}},
		{"enrolled again", ports.Answer[ports.SiteOutcome]{Outcome: ports.SiteEnrolledAgain{Key: key}, ServerTime: date}},
		{"collision pending", ports.Answer[ports.SiteOutcome]{Outcome: ports.SiteCollisionPending{}, ServerTime: date, RetryAfter: "120"}},
		{"rejected", ports.Answer[ports.SiteOutcome]{Outcome: ports.SiteRejected{Detail: "the key was rotated"}, ServerTime: date}},
		{"rejected without a word", ports.Answer[ports.SiteOutcome]{Outcome: ports.SiteRejected{}, ServerTime: date}},
		{"site conflict", ports.Answer[ports.SiteOutcome]{Outcome: ports.SiteConflict{Detail: "this machine is in Lyon"}, ServerTime: date}},
		{"rate limited", ports.Answer[ports.SiteOutcome]{Outcome: ports.SiteRateLimited{}, ServerTime: date, RetryAfter: "Tue, 06 May 2031 07:10:09 GMT"}},
		{"unavailable", ports.Answer[ports.SiteOutcome]{Outcome: ports.SiteTransient{}, ServerTime: date, RetryAfter: "7"}},
		{"unexpected", ports.Answer[ports.SiteOutcome]{Outcome: ports.SiteUnexpected{Status: 418, Detail: "no coffee"}, ServerTime: date}},
	}
	for _, tt := range answers {
		t.Run(tt.name, func(t *testing.T) {
			is := is.New(t)
			server := fresh(t, SiteScript{Answer: tt.answer})
			got := server.Enroller.Enroll(t.Context(), request)
			is.True(got.ServerTime.Equal(date))
			is.Equal(got.RetryAfter, tt.answer.RetryAfter)
			switch want := tt.answer.Outcome.(type) {
			case ports.SiteEnrolledNew:
				is.True(got.Outcome.(ports.SiteEnrolledNew).Key.Equal(want.Key))
			case ports.SiteEnrolledAgain:
				is.True(got.Outcome.(ports.SiteEnrolledAgain).Key.Equal(want.Key))
			case ports.SiteTransient:
				is.True(got.Outcome.(ports.SiteTransient).Reason != "") // says what failed
			default:
				is.Equal(got.Outcome, want)
			}
			siteWords(t, got.Outcome)
			is.Equal(fmt.Sprint(server.Requests()), fmt.Sprint([]ports.SiteRequest{request}))
			is.True(server.Requests()[0].EnrollmentKey.Equal(request.EnrollmentKey))
		})
	}

	// A server may say anything: its words may be long, may hold characters that
	// a terminal obeys, and may echo the request.
	unfit := "your key is " + request.EnrollmentKey.Reveal() + "\x1b[31m\r\n\x00" + strings.Repeat("and so on, é ", 40)
	for name, outcome := range map[string]ports.SiteOutcome{
		"rejected": ports.SiteRejected{Detail: unfit}, "site conflict": ports.SiteConflict{Detail: unfit},
		"unexpected": ports.SiteUnexpected{Status: 400, Detail: unfit},
	} {
		t.Run("words that are not fit for people: "+name, func(t *testing.T) {
			got := fresh(t, SiteScript{Answer: ports.Answer[ports.SiteOutcome]{Outcome: outcome}}).Enroller.Enroll(t.Context(), request).Outcome
			is.New(t).Equal(reflect.TypeOf(got), reflect.TypeOf(outcome))
			siteWords(t, got)
		})
	}
	t.Run("empty labels", func(t *testing.T) {
		is := is.New(t)
		server := fresh(t, SiteScript{Answer: answers[0].answer})
		bare := request
		bare.Labels = ports.Labels{}
		server.Enroller.Enroll(t.Context(), bare)
		got := server.Requests()[0].Labels
		is.Equal(len(got.Tags), 0)
		is.Equal(fmt.Sprint(got), fmt.Sprint(bare.Labels))
	})
	t.Run("one request for each call", func(t *testing.T) {
		is := is.New(t)
		server := fresh(t, SiteScript{Answer: ports.Answer[ports.SiteOutcome]{Outcome: ports.SiteTransient{}}})
		for range 3 {
			server.Enroller.Enroll(t.Context(), request)
		}
		is.Equal(len(server.Requests()), 3)
	})
	t.Run("concurrent calls", func(t *testing.T) {
		is := is.New(t)
		server := fresh(t, SiteScript{Answer: answers[0].answer})
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				answer := server.Enroller.Enroll(t.Context(), siteRequest(fmt.Sprintf("muid_%064d", i)))
				if _, ok := answer.Outcome.(ports.SiteEnrolledNew); !ok {
					t.Errorf("got %T", answer.Outcome)
				}
			})
		}
		wg.Wait()
		seen := make(map[string]bool)
		for _, r := range server.Requests() {
			seen[r.MachineUID] = true
		}
		is.Equal(len(seen), 8)
	})
	t.Run("a context that is done", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		server := fresh(t, SiteScript{Answer: answers[0].answer})
		quickly(t, promptly, func() time.Duration {
			start := time.Now()
			siteInterrupted(t, server.Enroller.Enroll(ctx, request))
			return time.Since(start)
		})
	})
	t.Run("a context that ends while the server is silent", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		server := fresh(t, SiteScript{Hang: true})
		done := make(chan ports.Answer[ports.SiteOutcome], 1)
		go func() { done <- server.Enroller.Enroll(ctx, request) }()
		for deadline := time.Now().Add(time.Minute); len(server.Requests()) == 0 && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		cancel()
		select {
		case answer := <-done:
			siteInterrupted(t, answer)
		case <-time.After(soon):
			t.Fatal("Enroll goes on after its context has ended")
		}
	})
}

func siteRequest(machineUID string) ports.SiteRequest {
	return ports.SiteRequest{
		SiteCode:      "ACME-HQ",
		EnrollmentKey: ports.NewSecret("cek_contract0123456789"),
		MachineUID:    machineUID,
		Hostname:      "desk-17",
		Labels: ports.Labels{
			Company: `Ac"me <&> Söhne`, Site: "HQ", Department: "Sales", DeviceType: "workstation",
			Tags: []string{"laptop", "finance"},
		},
	}
}

func siteInterrupted(t *testing.T, answer ports.Answer[ports.SiteOutcome]) {
	t.Helper()
	if _, ok := answer.Outcome.(ports.SiteTransient); !ok {
		t.Errorf("got %#v, want SiteTransient", answer.Outcome)
	}
	siteWords(t, answer.Outcome)
}

const (
	// serversWords is how many characters of a server's own words a text may
	// hold (docs/PROTOCOLS.md, "Site enrollment"), ourWords how many an adapter
	// may put around them.
	serversWords, ourWords = 200, 300
)

// siteWords checks the text that people will read.
func siteWords(t *testing.T, outcome ports.SiteOutcome) {
	t.Helper()
	var words string
	most := serversWords
	switch o := outcome.(type) {
	case ports.SiteRejected:
		words = o.Detail
	case ports.SiteConflict:
		words = o.Detail
	case ports.SiteUnexpected:
		words = o.Detail
	case ports.SiteTransient:
		most += ourWords
		if words = o.Reason; words == "" {
			t.Error("a failure without a reason")
		}
	case ports.SiteEnrolledNew, ports.SiteEnrolledAgain, ports.SiteCollisionPending, ports.SiteRateLimited:
	case nil:
		t.Error("no outcome")
	}
	if utf8.RuneCountInString(words) > most || strings.ContainsFunc(words, unicode.IsControl) {
		t.Errorf("not fit for a log: %q", words)
	}
	for _, secret := range []string{"cek_", "cak_", "contract0123"} {
		if strings.Contains(words, secret) {
			t.Errorf("a key in %q", words)
		}
	}
}
