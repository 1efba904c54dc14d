//go:build pact

package pact_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"testing"

	"github.com/pact-foundation/pact-go/v2/consumer"
	"github.com/pact-foundation/pact-go/v2/matchers"
	"github.com/pact-foundation/pact-go/v2/models"

	"github.com/muster-agent/muster/adapters/managerapi"
	"github.com/muster-agent/muster/adapters/siteapi"
	"github.com/muster-agent/muster/adapters/transport"
	"github.com/muster-agent/muster/ports"
)

// contract names a pact: who asks, and who answers.
type contract struct{ consumer, provider string }

// The consumer tells what a server has to do with a pact: "muster" is what
// every server must be able to show, "muster-optional" what it may never have
// heard of, and "muster-faults", see fault, what no server can be asked to
// show.
var (
	site            = contract{"muster", "site"}
	manager         = contract{"muster", "manager"}
	managerOptional = contract{"muster-optional", "manager"}
)

func (c contract) file() string { return c.consumer + "-" + c.provider + ".json" }

// interaction is one request, its answer, and what the adapter makes of it.
type interaction struct {
	in       contract
	name     string
	given    state
	request  request
	response response
	// check asks by the adapter and judges what it returns.
	check func(t *testing.T, a agent)
}

// state is a provider state.
type state struct {
	name   string
	params map[string]any
}

// request is what the agent sends. Plain strings are compared as they are.
type request struct {
	method  string
	path    matchers.Matcher
	headers map[string]matchers.Matcher
	body    map[string]any // nil for none
}

// response is what a server answers. A body that is not JSON is raw.
type response struct {
	status  int
	headers map[string]matchers.Matcher
	body    any
	raw     string
	rawForm string // that a provider's raw body has; "" for the raw one alone
}

// rawType is the type of bodies that are not JSON.
const rawType = "text/plain"

// agent are the adapters that speak to the server.
type agent struct {
	site    ports.SiteEnroller
	manager *managerapi.Client
}

// write has the adapter ask pact's mock server and, if all is as it should
// be, adds the interaction to the pact file in dir.
func (i interaction) write(t *testing.T, dir string) {
	t.Helper()
	mock, err := consumer.NewV4Pact(consumer.MockHTTPProviderConfig{
		Consumer: i.in.consumer, Provider: i.in.provider, PactDir: dir, Host: "127.0.0.1",
	})
	if err != nil {
		t.Fatalf("set pact up: %v", err)
	}
	err = mock.AddInteraction().
		GivenWithParameter(models.ProviderState{Name: i.given.name, Parameters: i.given.params}).
		UponReceiving(i.name).
		WithRequestPathMatcher(consumer.Method(i.request.method), i.request.path, func(b *consumer.V4RequestBuilder) {
			for name, value := range i.request.headers {
				b.Header(name, value)
			}
			if i.request.body != nil {
				b.JSONBody(i.request.body)
			}
		}).
		WillRespondWith(i.response.status, func(b *consumer.V4ResponseBuilder) {
			for name, value := range i.response.headers {
				b.Header(name, value)
			}
			switch {
			case i.response.body != nil:
				b.JSONBody(i.response.body)
			case i.response.raw != "":
				b.Body(rawType, []byte(i.response.raw))
			}
		}).
		ExecuteTest(t, func(server consumer.MockServerConfig) error {
			i.check(t, newAgent(t, &url.URL{Scheme: "http", Host: fmt.Sprintf("%s:%d", server.Host, server.Port)}))
			return nil
		})
	if err != nil {
		t.Fatalf("the adapter's request is not the one of the contract: %v", err)
	}
	if !t.Failed() {
		t.Attr("pact-interaction-written", i.name)
	}
}

// newAgent has the adapters over a real transport. The mock server has no TLS
// that a client could trust: that a renewal goes over mTLS is seen when the
// provider is verified.
func newAgent(t *testing.T, server *url.URL) agent {
	t.Helper()
	carrier, err := transport.New(transport.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(carrier.CloseIdleConnections)
	const userAgent = "muster/1.2.3 (linux; amd64)"
	return agent{
		site:    siteapi.New(server, carrier, userAgent, transport.Describe),
		manager: managerapi.New(server, carrier, carrier, userAgent, transport.Describe),
	}
}

// outcome is an outcome of the type that it must be of.
func outcome[T any](t *testing.T, got any) T {
	t.Helper()
	want, ok := got.(T)
	if !ok {
		t.Fatalf("the adapter returns %#v, want a %T", got, want)
	}
	return want
}

// asks asks by an adapter and has check judge what that returns.
func asks[O, T any](ask func(context.Context, agent) ports.Answer[O], check func(*testing.T, ports.Answer[O], T)) func(*testing.T, agent) {
	return func(t *testing.T, a agent) {
		answer := ask(t.Context(), a)
		check(t, answer, outcome[T](t, answer.Outcome))
	}
}

// form is a text of a form; the whole of it must match.
func form(example, pattern string) matchers.Matcher { return matchers.Term(example, pattern) }

// injected is a text of a form for which a provider's state handler may give
// another value, by its name, when the provider is verified.
func injected(name, before, example, pattern string) matchers.Matcher {
	return fromState{matchers.Term(before+example, pattern), before + "${" + name + "}"}
}

// fromState adds to a matcher where the value comes from. The Matcher is the
// only way into pact-go's interface, which has an unexported method.
type fromState struct {
	matchers.Matcher
	expression string
}

// MarshalJSON writes pact's integration format.
func (f fromState) MarshalJSON() ([]byte, error) {
	text, err := json.Marshal(f.Matcher)
	if err != nil {
		return nil, err
	}
	var members map[string]any
	if err := json.Unmarshal(text, &members); err != nil {
		return nil, err
	}
	members["pact:generator:type"] = "ProviderState"
	members["expression"] = f.expression
	return json.Marshal(members)
}

func literal(text string) matchers.Matcher { return matchers.S(text) }

// headers of every request; with a body also its type.
func requestHeaders(body bool) map[string]matchers.Matcher {
	h := map[string]matchers.Matcher{
		"Accept":     literal("application/json"),
		"User-Agent": form("muster/1.2.3 (linux; amd64)", `^muster/\S+ \([a-z0-9]+; [a-z0-9]+\)$`),
	}
	if body {
		h["Content-Type"] = literal("application/json")
	}
	return h
}

// answers are JSON with a status, perhaps with a charset.
func answers(status int, body any) response {
	return response{status: status, body: body, headers: map[string]matchers.Matcher{
		"Content-Type": form("application/json", `^application/json(;.*)?$`),
	}}
}

// fault is what no server can be asked for: the fake is told to answer so.
func fault(i interaction, name string, r response, check func(*testing.T, agent)) interaction {
	headers := map[string]any{}
	for header, value := range r.headers {
		if header == "Location" {
			continue // see finish
		}
		headers[header] = fmt.Sprint(value.GetValue())
	}
	params := map[string]any{"method": i.request.method, "path": i.request.path.GetValue(), "status": r.status}
	if len(headers) > 0 {
		params["headers"] = headers
	}
	switch {
	case r.raw != "":
		params["body"] = r.raw
	case r.body != nil:
		params["body"] = r.body
	}
	i.in.consumer, i.name, i.given, i.response, i.check = "muster-faults", name, state{stateFault, params}, r, check
	return i
}
