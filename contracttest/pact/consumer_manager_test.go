//go:build pact

package pact_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"testing"

	"github.com/pact-foundation/pact-go/v2/matchers"

	"github.com/muster-agent/muster/ports"
)

// What the host of these interactions says of itself.
const (
	machineID      = "7f3c2a91d05e4b868c1fae0274b9d65e"
	fqdn           = "web-3.example.org"
	hostname       = "web-3"
	address        = "192.0.2.7"
	idempotencyKey = "6b0f4a3e-8b1c-4d59-9a4e-0c1d2e3f4a5b"
	pollingToken   = "pt_contract0123456789"
)

// csr is a real one, for a key that nobody has.
const csr = `-----BEGIN CERTIFICATE REQUEST-----
MIIBEjCBugIBADAcMRowGAYDVQQDExF3ZWItMy5leGFtcGxlLm9yZzBZMBMGByqG
SM49AgEGCCqGSM49AwEHA0IABOoVlFPxMlh2Jt7a9gveA/IZ6mufWPBw7rapeazk
dwC2jc+83ADHgH2dgZoWIaJMugLflIlISshGVC71mA881kugPDA6BgkqhkiG9w0B
CQ4xLTArMCkGA1UdEQQiMCCCEXdlYi0zLmV4YW1wbGUub3JnggV3ZWItM4cEwAAC
BzAKBggqhkjOPQQDAgNHADBEAiBSGuIZe5APGVQvXSrijOulnQzxVfGTz0/6sFum
YpAotQIgKPO3NxGrnZsqqkMMhSxRptbOmXS0QaUiuR3uUF89+0g=
-----END CERTIFICATE REQUEST-----
`

var osDetails = ports.OSDetails{
	Distro: "Debian GNU/Linux", Name: "debian", Version: "12", Codename: "bookworm", IDLike: "", Kernel: "6.1.0-18-amd64",
}

// pemForm is the form of PEM of a kind, with text around it.
func pemForm(kind string) string {
	return `^[\s\S]*-----BEGIN ` + kind + `-----[A-Za-z0-9+/=\s]+-----END ` + kind + `-----[\s\S]*$`
}

// examplePEM stands for PEM where nobody looks into it.
func examplePEM(kind string) string {
	return fmt.Sprintf("-----BEGIN %s-----\nTXVzdGVy\n-----END %[1]s-----\n", kind)
}

// pem is a member of an answer.
func pem(kind, kinds string) matchers.Matcher { return form(examplePEM(kind), pemForm(kinds)) }

const (
	certificate = "CERTIFICATE"
	privateKey  = "PRIVATE KEY"
	anyKey      = "(RSA |EC )?PRIVATE KEY"
	crlKind     = "X509 CRL"
)

func registering() interaction {
	headers := requestHeaders(true)
	headers["Idempotency-Key"] = form(idempotencyKey, `^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	return interaction{in: manager, request: request{
		method: "POST", path: literal("/api/v1/enroll"), headers: headers,
		body: map[string]any{
			"machine_id": form(machineID, `^[0-9a-f]{32}$`), "fqdn": fqdn, "ip_address": address, "hostname": hostname,
			"os_details": map[string]any{
				"distro": osDetails.Distro, "name": osDetails.Name, "version": osDetails.Version,
				"codename": osDetails.Codename, "id_like": osDetails.IDLike, "kernel": osDetails.Kernel,
			},
			"csr_pem": form(csr, pemForm("CERTIFICATE REQUEST")),
		},
	}}
}

const pollPath = "/api/v1/enroll/status/"

// polling asks with the token that the provider's state gives.
func polling() interaction {
	return interaction{in: manager, request: request{
		method: "GET", headers: requestHeaders(false),
		path: injected("polling_token", pollPath, pollingToken, `^`+pollPath+`[^/?#]+$`),
	}}
}

func renewing() interaction {
	return interaction{in: managerOptional, request: request{
		method: "POST", path: literal("/api/v1/enroll/renew"), headers: requestHeaders(true),
		body: map[string]any{"csr_pem": form(csr, pemForm("CERTIFICATE REQUEST"))},
	}}
}

func fetchingCRL() interaction {
	return interaction{in: manager, request: request{
		method: "GET", path: literal("/api/v1/pki/crl.pem"), headers: requestHeaders(false),
	}}
}

// registers checks what Submit makes of the answer to a registration.
func registers[T any](check func(*testing.T, ports.Answer[ports.SubmitOutcome], T)) func(*testing.T, agent) {
	return asks(func(ctx context.Context, a agent) ports.Answer[ports.SubmitOutcome] {
		return a.manager.Submit(ctx, ports.IssueRequest{
			MachineID: machineID, Host: ports.HostFacts{FQDN: fqdn, IPAddress: address, OS: osDetails, Hostname: hostname},
			CSR: []byte(csr), IdempotencyKey: idempotencyKey,
		})
	}, check)
}

// polls checks what Submit makes of the answer to a poll.
func polls[T any](check func(*testing.T, ports.Answer[ports.SubmitOutcome], T)) func(*testing.T, agent) {
	return asks(func(ctx context.Context, a agent) ports.Answer[ports.SubmitOutcome] {
		return a.manager.Submit(ctx, ports.IssueRequest{Resume: ports.NewSecret(pollingToken)})
	}, check)
}

// decides checks what Interpret makes of a poll's 200.
func decides[T any](check func(*testing.T, T)) func(*testing.T, agent) {
	return func(t *testing.T, a agent) {
		polls(interpreted[ports.SubmitOutcome](a, check))(t, a)
	}
}

// renews checks what Renew makes of the answer.
func renews[T any](check func(*testing.T, ports.Answer[ports.RenewOutcome], T)) func(*testing.T, agent) {
	return asks(func(ctx context.Context, a agent) ports.Answer[ports.RenewOutcome] {
		return a.manager.Renew(ctx, []byte(csr))
	}, check)
}

// renewed checks what Interpret makes of a renewal's 200.
func renewed[T any](check func(*testing.T, T)) func(*testing.T, agent) {
	return func(t *testing.T, a agent) {
		renews(interpreted[ports.RenewOutcome](a, check))(t, a)
	}
}

// interpreted checks what Interpret makes of a 200.
func interpreted[O, T any](a agent, check func(*testing.T, T)) func(*testing.T, ports.Answer[O], ports.IssueReceived) {
	return func(t *testing.T, _ ports.Answer[O], o ports.IssueReceived) {
		check(t, outcome[T](t, a.manager.Interpret(o.Received)))
	}
}

// unavailableFor checks the reason, and when the manager wants to be asked again.
func unavailableFor[O any](reason, retryAfter string) func(*testing.T, ports.Answer[O], ports.Unavailable) {
	return func(t *testing.T, a ports.Answer[O], o ports.Unavailable) {
		contains(t, o.Reason, reason)
		is(t, a.RetryAfter, retryAfter)
	}
}

// unexpected checks an answer that a manager does not give.
func unexpected(status int, detail string) func(*testing.T, ports.Answer[ports.SubmitOutcome], ports.IssueUnexpected) {
	return func(t *testing.T, _ ports.Answer[ports.SubmitOutcome], o ports.IssueUnexpected) {
		o.Check = "" // the words are not the contract's
		is(t, o, ports.IssueUnexpected{Status: status, Detail: detail})
	}
}

// bundled checks a bundle of an approval or a renewal whose members are the
// examples. Those not named are empty.
func bundled(t *testing.T, got ports.Bundle, key, chain, crl string) {
	t.Helper()
	cert := examplePEM(certificate)
	isSecret(t, got.Key, key)
	for name, pair := range map[string][2]string{
		"CA": {string(got.CA), cert}, "Cert": {string(got.Cert), cert}, "Chain": {string(got.Chain), chain}, "CRL": {string(got.CRL), crl},
	} {
		if pair[0] != pair[1] {
			t.Errorf("the adapter returns the bundle's %s as %q, want %q", name, pair[0], pair[1])
		}
	}
}

func managerInteractions() []interaction {
	host := map[string]any{"machine_id": machineID, "fqdn": fqdn, "hostname": hostname, "ip_address": address}
	status := func(word string) response { return answers(200, map[string]any{"status": word}) }
	// bundle is an answer with the members that must be there, and more.
	bundle := func(more map[string]any) response {
		body := map[string]any{"ca_crt": pem(certificate, certificate), "server_crt": pem(certificate, certificate)}
		maps.Copy(body, more)
		return answers(200, body)
	}
	key, cert, list := examplePEM(privateKey), examplePEM(certificate), examplePEM(crlKind)
	registered := registers(func(t *testing.T, _ ports.Answer[ports.SubmitOutcome], o ports.IssuePending) {
		isSecret(t, o.Resume, pollingToken)
	})
	token := answers(202, map[string]any{"polling_token": form(pollingToken, `^.*\S.*$`)})
	optional := func(i interaction) interaction { i.in = managerOptional; return i }

	return []interaction{
		registering().
			as("register: a new host", "the manager does not know the host", host).
			answered(token, registered),
		registering().
			as("register: a host that exists", "the manager has the host", host).
			answered(response{status: 409}, registers(func(*testing.T, ports.Answer[ports.SubmitOutcome], ports.IssueKnown) {})),
		optional(registering()).
			as("register: again with the same Idempotency-Key", "the host registered with this Idempotency-Key",
				with(host, "idempotency_key", idempotencyKey, "csr_pem", csr)).
			answered(token, registered),

		polling().
			as("poll: not decided", "a registration waits for an operator", host).
			answered(status("pending"), decides(func(*testing.T, ports.IssuePending) {})),
		polling().
			as("poll: approved", "a registration was approved", host).
			answered(bundle(map[string]any{"status": "approved", "server_key": pem(privateKey, anyKey)}),
				decides(func(t *testing.T, o ports.Issued) { bundled(t, o.Bundle, key, "", "") })),
		optional(polling()).
			as("poll: approved, with all that may be missing", "a registration was approved", host).
			answered(bundle(map[string]any{
				"status": "approved", "server_key": pem(privateKey, anyKey), "ca_chain": pem(certificate, certificate),
				"crl_pem": pem(crlKind, crlKind), "repo_config": matchers.Like(map[string]any{}),
			}), decides(func(t *testing.T, o ports.Issued) { bundled(t, o.Bundle, key, cert, list) })),
		optional(polling()).
			as("poll: approved, by the CSR, without a server_key", "a registration with a CSR was approved", with(host, "csr_pem", csr)).
			answered(bundle(map[string]any{"status": "approved"}),
				decides(func(t *testing.T, o ports.Issued) { bundled(t, o.Bundle, "", "", "") })),
		polling().
			as("poll: denied", "a registration was denied", host).
			answered(status("denied"), decides(func(*testing.T, ports.IssueDenied) {})),
		polling().
			as("poll: a used token", "the bundle of a registration was fetched", host).
			answered(answers(200, map[string]any{"status": form("notfound", `^not_?found$`)}),
				decides(func(*testing.T, ports.IssueUnknown) {})),

		renewing().
			as("renew: by the present certificate", "the host has a certificate", host).
			answered(bundle(nil), renewed(func(t *testing.T, o ports.Issued) { bundled(t, o.Bundle, "", "", "") })),
		renewing().
			as("renew: with all that may be missing", "the host has a certificate", host).
			answered(bundle(map[string]any{"ca_chain": pem(certificate, certificate), "crl_pem": pem(crlKind, crlKind)}),
				renewed(func(t *testing.T, o ports.Issued) { bundled(t, o.Bundle, "", cert, list) })),

		fetchingCRL().
			as("crl: the list", "the manager has a revocation list", nil).
			answered(response{status: 200, raw: list, rawForm: pemForm(crlKind)}, fetchesCRL(func(t *testing.T, _ ports.Answer[ports.RevocationOutcome], o ports.RevocationList) {
				is(t, string(o.PEM), list)
			})),
	}
}

// managerFaultInteractions are answers that the agent must bear and that no
// manager can be asked for.
func managerFaultInteractions() (list []interaction) {
	poll := polling()
	poll.request.path = form(pollPath+pollingToken, `^`+pollPath+`[^/?#]+$`)
	add := func(i interaction, name string, r response, check func(*testing.T, agent)) {
		list = append(list, fault(i, name, r, check))
	}
	refusal := func(status int) response { return answers(status, map[string]any{"error": "not like this"}) }
	const redirected = "a redirect to https://other.example.org, which is not followed"

	notSubmitted := unavailableFor[ports.SubmitOutcome]
	add(registering(), "register: too many", tooMany(), registers(func(t *testing.T, a ports.Answer[ports.SubmitOutcome], _ ports.IssueBusy) {
		is(t, a.RetryAfter, "2")
	}))
	add(registering(), "register: an error of the manager", response{status: 500}, registers(notSubmitted("500", "")))
	add(registering(), "register: the manager is unavailable", unavailable(), registers(notSubmitted("503", "2")))
	add(registering(), "register: 202 that is not JSON", page(202), registers(notSubmitted("is not a JSON object", "")))
	add(registering(), "register: 202 without a token", answers(202, map[string]any{"polling_token": ""}), registers(notSubmitted("holds no usable polling_token", "")))
	for _, status := range []int{200, 400, 403, 404} {
		add(registering(), "register: "+statusName(status), refusal(status), registers(unexpected(status, "not like this")))
	}
	add(registering(), "register: a redirect", redirect(), registers(unexpected(302, redirected)))

	unreadable := func(reason string) func(*testing.T, agent) {
		return decides(func(t *testing.T, o ports.IssueUnreadable) { contains(t, o.Reason, reason) })
	}
	add(poll, "poll: not_found, as the manual writes it", answers(200, map[string]any{"status": "not_found"}),
		decides(func(*testing.T, ports.IssueUnknown) {}))
	add(poll, "poll: 404", refusal(404), polls(func(*testing.T, ports.Answer[ports.SubmitOutcome], ports.IssueUnknown) {}))
	add(poll, "poll: too many", tooMany(), polls(func(t *testing.T, a ports.Answer[ports.SubmitOutcome], o ports.IssueBusy) {
		contains(t, o.Reason, "429")
		is(t, a.RetryAfter, "2")
	}))
	add(poll, "poll: an error of the manager", response{status: 500}, polls(notSubmitted("500", "")))
	add(poll, "poll: the manager is unavailable", unavailable(), polls(notSubmitted("503", "2")))
	add(poll, "poll: 200 that is not JSON", page(200), unreadable("is not a JSON object"))
	add(poll, "poll: 200 with an unknown status", answers(200, map[string]any{"status": "perhaps"}), unreadable("unknown status perhaps"))
	add(poll, "poll: approved without a certificate", answers(200, map[string]any{"status": "approved", "ca_crt": examplePEM(certificate)}),
		unreadable("holds no server_crt"))
	add(poll, "poll: approved, with empty members", answers(200, map[string]any{
		"status": "approved", "ca_crt": examplePEM(certificate), "server_crt": examplePEM(certificate), "server_key": examplePEM(privateKey),
		"ca_chain": "", "crl_pem": "", "repo_config": map[string]any{},
	}), decides(func(t *testing.T, o ports.Issued) { bundled(t, o.Bundle, examplePEM(privateKey), "", "") }))
	for _, status := range []int{400, 403} {
		add(poll, "poll: "+statusName(status), refusal(status), polls(unexpected(status, "not like this")))
	}
	add(poll, "poll: a redirect", redirect(), polls(unexpected(302, redirected)))

	notRenewed := unavailableFor[ports.RenewOutcome]
	notBundled := func(reason string) func(*testing.T, agent) {
		return renewed(func(t *testing.T, o ports.IssueUnreadable) { contains(t, o.Reason, reason) })
	}
	for _, status := range []int{401, 403, 404, 405, 409} {
		add(renewing(), "renew: not offered, "+statusName(status), refusal(status), renews(func(t *testing.T, _ ports.Answer[ports.RenewOutcome], o ports.RenewNotOffered) {
			is(t, o.Status, status)
		}))
	}
	add(renewing(), "renew: the request took too long", refusal(408), renews(notRenewed("408", "")))
	add(renewing(), "renew: too many", tooMany(), renews(notRenewed("429", "2")))
	add(renewing(), "renew: an error of the manager", response{status: 500}, renews(notRenewed("500", "")))
	add(renewing(), "renew: the manager is unavailable", unavailable(), renews(notRenewed("503", "2")))
	add(renewing(), "renew: 200 that is not JSON", page(200), notBundled("is not a JSON object"))
	add(renewing(), "renew: 200 without a certificate", answers(200, map[string]any{"ca_crt": examplePEM(certificate)}), notBundled("holds no server_crt"))
	add(renewing(), "renew: a redirect", redirect(), renews(notRenewed("302", "")))

	noList := unavailableFor[ports.RevocationOutcome]
	add(fetchingCRL(), "crl: 404", refusal(404), fetchesCRL(noList("404", "")))
	add(fetchingCRL(), "crl: too many", tooMany(), fetchesCRL(noList("429", "2")))
	add(fetchingCRL(), "crl: an error of the manager", response{status: 500}, fetchesCRL(noList("500", "")))
	add(fetchingCRL(), "crl: the manager is unavailable", unavailable(), fetchesCRL(noList("503", "2")))
	add(fetchingCRL(), "crl: a redirect", redirect(), fetchesCRL(noList("302", "")))
	return list
}

// fetchesCRL checks what RevocationList makes of the answer.
func fetchesCRL[T any](check func(*testing.T, ports.Answer[ports.RevocationOutcome], T)) func(*testing.T, agent) {
	return asks(func(ctx context.Context, a agent) ports.Answer[ports.RevocationOutcome] {
		return a.manager.RevocationList(ctx)
	}, check)
}

// with is params and more of them.
func with(params map[string]any, pairs ...string) map[string]any {
	all := maps.Clone(params)
	for i := 0; i < len(pairs); i += 2 {
		all[pairs[i]] = pairs[i+1]
	}
	return all
}

// page is what a proxy may answer in a server's place.
func page(status int) response {
	return response{status: status, raw: "<html>welcome</html>", headers: map[string]matchers.Matcher{"Content-Type": literal(rawType)}}
}

func tooMany() response {
	return response{status: http.StatusTooManyRequests, headers: map[string]matchers.Matcher{"Retry-After": literal("2")}}
}

func unavailable() response {
	return response{status: http.StatusServiceUnavailable, headers: map[string]matchers.Matcher{"Retry-After": literal("2")}}
}

func redirect() response {
	return response{status: http.StatusFound, headers: map[string]matchers.Matcher{"Location": literal("https://other.example.org/api")}}
}

func statusName(status int) string { return fmt.Sprintf("%d %s", status, http.StatusText(status)) }
