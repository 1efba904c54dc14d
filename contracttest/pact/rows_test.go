package pact_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A row of an answer's table in docs/PROTOCOLS.md, by its heading and its
// first cell, and the interactions that show it.
type row struct {
	heading, cell string
	interactions  []string
}

// rows are all of them. What never becomes an answer (no connection, a TLS
// failure, a time-out, a body that breaks off) no pact can show: unanswered
// names the tests of that.
var rows = []row{
	{"Site enrollment", "201", []string{"site enrollment: a new machine", "site enrollment: a new machine without labels"}},
	{"Site enrollment", "200", []string{"site enrollment: a known machine"}},
	{"Site enrollment", "202", []string{"site enrollment: a collision"}},
	{"Site enrollment", "401", []string{"site enrollment: a rotated key", "site enrollment: an unknown site"}},
	{"Site enrollment", "409", []string{"site enrollment: a machine of another site"}},
	{"Site enrollment", "429", []string{"site enrollment: too many"}},
	{"Site enrollment", "5xx", []string{"site enrollment: an error of the server", "site enrollment: the server is unavailable"}},
	{"Site enrollment", "200 or 201 without a usable key", []string{
		"site enrollment: 200 that is not JSON", "site enrollment: 201 without a key", "site enrollment: 200 with a key that is too short",
	}},
	{"Site enrollment", "any other, redirects included", []string{
		"site enrollment: 400 Bad Request", "site enrollment: 403 Forbidden", "site enrollment: 404 Not Found", "site enrollment: a redirect",
	}},

	{"Register", "202 `{\"polling_token\":\"…\"}`", []string{"register: a new host", "register: again with the same Idempotency-Key"}},
	{"Register", "409", []string{"register: a host that exists"}},
	{"Register", "429", []string{"register: too many"}},
	{"Register", "5xx, 202 without a token", []string{
		"register: an error of the manager", "register: the manager is unavailable", "register: 202 that is not JSON", "register: 202 without a token",
	}},
	{"Register", "any other", []string{
		"register: 200 OK", "register: 400 Bad Request", "register: 403 Forbidden", "register: 404 Not Found", "register: a redirect",
	}},

	{"Poll", "200 `{\"status\":\"pending\"}`", []string{"poll: not decided"}},
	{"Poll", "200 `{\"status\":\"approved\", …}`", []string{
		"poll: approved", "poll: approved, with all that may be missing", "poll: approved, with empty members",
		"poll: approved, by the CSR, without a server_key",
	}},
	{"Poll", "200 `{\"status\":\"denied\"}`", []string{"poll: denied"}},
	{"Poll", "200 `{\"status\":\"notfound\"}` or `\"not_found\"`, or 404", []string{
		"poll: a used token", "poll: not_found, as the manual writes it", "poll: 404",
	}},
	{"Poll", "429, 5xx", []string{"poll: too many", "poll: an error of the manager", "poll: the manager is unavailable"}},
	{"Poll", "200 that cannot be decoded", []string{
		"poll: 200 that is not JSON", "poll: 200 with an unknown status", "poll: approved without a certificate",
	}},
	{"Poll", "any other", []string{"poll: 400 Bad Request", "poll: 403 Forbidden", "poll: a redirect"}},

	{"Renew", "200 `{\"ca_crt\":…,\"server_crt\":…,\"ca_chain\":…,\"crl_pem\":…}`", []string{
		"renew: by the present certificate", "renew: with all that may be missing",
	}},
	{"Renew", "4xx but 408 and 429", []string{
		"renew: not offered, 401 Unauthorized", "renew: not offered, 403 Forbidden", "renew: not offered, 404 Not Found",
		"renew: not offered, 405 Method Not Allowed", "renew: not offered, 409 Conflict",
	}},
	{"Renew", "408, 429, 5xx, any other, an answer that cannot be decoded", []string{
		"renew: the request took too long", "renew: too many", "renew: an error of the manager", "renew: the manager is unavailable",
		"renew: a redirect", "renew: 200 that is not JSON", "renew: 200 without a certificate",
	}},

	{"Revocation list", noTable, []string{
		"crl: the list", "crl: 404", "crl: too many", "crl: an error of the manager", "crl: the manager is unavailable", "crl: a redirect",
	}},
}

// noTable stands for a section that describes its answers without a table.
const noTable = ""

// unanswered are the tests, by file, of requests that get no whole answer.
var unanswered = map[string][]string{
	"adapters/siteapi/client_test.go":      {"TestBrokenConnections", "TestBodyThatNeverEnds", "TestInterruptedWhileReading", "TestLargeBodies"},
	"adapters/managerapi/client_test.go":   {"TestBrokenConnections", "TestBodyThatNeverEnds", "TestInterruptedWhileReading", "TestLargeBodies"},
	"adapters/transport/trust_test.go":     {"TestTrust", "TestTLSVersion"},
	"adapters/transport/describe_test.go":  {"TestDescribe"},
	"adapters/transport/transport_test.go": {"TestContextEnds", "TestRedirectIsNotFollowed"},
}

// TestEveryRowHasItsInteraction holds the list above against the tables of
// docs/PROTOCOLS.md and against the committed pact files.
func TestEveryRowHasItsInteraction(t *testing.T) {
	t.Parallel()
	for _, complaint := range judge(rows, tables(t), committedNames(t)) {
		t.Error(complaint)
	}
	for file, tests := range unanswered {
		text := read(t, filepath.FromSlash(file))
		for _, name := range tests {
			if !strings.Contains(text, "\nfunc "+name+"(") {
				t.Errorf("%s has no test %s", file, name)
			}
		}
	}
}

// The judgement is tried on lists that are wrong.
func TestTheListOfRowsCanFail(t *testing.T) {
	t.Parallel()
	good := []row{{"Ask", "200", []string{"ask: fine"}}}
	table := map[string][]string{"Ask": {"200"}}
	for name, c := range map[string]struct {
		rows       []row
		tables     map[string][]string
		written    []string
		complaints int
	}{
		"as it should be":              {good, table, []string{"ask: fine"}, 0},
		"a row without an interaction": {[]row{{"Ask", "200", nil}}, table, nil, 1},
		"a row that is not listed":     {good, map[string][]string{"Ask": {"200", "404"}}, []string{"ask: fine"}, 1},
		"a row that is in no table":    {good, map[string][]string{"Ask": nil}, []string{"ask: fine"}, 1},
		"a heading that is not there":  {good, nil, []string{"ask: fine"}, 1},
		"no such interaction":          {good, table, nil, 1},
		"an interaction of no row":     {good, table, []string{"ask: fine", "ask: strange"}, 1},
		"an interaction of two pacts":  {good, table, []string{"ask: fine", "ask: fine"}, 1},
	} {
		if got := judge(c.rows, c.tables, c.written); len(got) != c.complaints {
			t.Errorf("%s: %d complaints, want %d: %q", name, len(got), c.complaints, got)
		}
	}
}

// judge compares the list with the tables, by heading, and with the names of
// the interactions that the pact files hold.
func judge(rows []row, tables map[string][]string, written []string) (complaints []string) {
	complain := func(format string, args ...any) { complaints = append(complaints, fmt.Sprintf(format, args...)) }
	listed := map[string]bool{}
	for _, r := range rows {
		cells, found := tables[r.heading]
		if !found || r.cell != noTable && !slices.Contains(cells, r.cell) || r.cell == noTable && len(cells) > 0 {
			complain("%q of %q is listed, and not in docs/PROTOCOLS.md", r.cell, r.heading)
		}
		if len(r.interactions) == 0 {
			complain("no interaction shows %q of %q", r.cell, r.heading)
		}
		for _, name := range r.interactions {
			listed[name] = true
			if !slices.Contains(written, name) {
				complain("%q, for %q of %q, is in no pact file", name, r.cell, r.heading)
			}
		}
	}
	for _, heading := range slices.Sorted(maps.Keys(tables)) {
		for _, cell := range tables[heading] {
			if !slices.ContainsFunc(rows, func(r row) bool { return r.heading == heading && r.cell == cell }) {
				complain("%q of %q in docs/PROTOCOLS.md has no interaction", cell, heading)
			}
		}
	}
	for n, name := range written {
		if !listed[name] {
			complain("the interaction %q is of no row", name)
		}
		if slices.Contains(written[:n], name) {
			complain("two interactions are named %q", name)
		}
	}
	return complaints
}

// tables are the first cells of the tables of answers in docs/PROTOCOLS.md, by
// the heading that they stand under. A heading without such a table has none.
func tables(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	heading, in := "", false
	for line := range strings.Lines(read(t, filepath.Join("docs", "PROTOCOLS.md"))) {
		line = strings.TrimSpace(line)
		cells := strings.Split(line, "|")
		switch {
		case strings.HasPrefix(line, "#"):
			heading, in = strings.TrimSpace(strings.TrimLeft(line, "#")), false
			found[heading] = nil
		case len(cells) < 3:
			in = false
		case strings.HasPrefix(cells[1], " status ") || strings.HasPrefix(cells[1], " answer "):
			in = true
		case in && !strings.HasPrefix(cells[1], "---"):
			found[heading] = append(found[heading], strings.TrimSpace(cells[1]))
		}
	}
	return found
}

func committedNames(t *testing.T) (names []string) {
	t.Helper()
	for _, f := range pactFiles(t) {
		for _, i := range f.Interactions {
			names = append(names, i.Description)
		}
	}
	return names
}

// TestEveryStateIsDescribed holds docs/CONTRACT.md against the states that
// the pact files ask for.
func TestEveryStateIsDescribed(t *testing.T) {
	t.Parallel()
	described := map[string]bool{}
	for line := range strings.Lines(read(t, filepath.Join("docs", "CONTRACT.md"))) {
		if rest, ok := strings.CutPrefix(line, "| `"); ok {
			if name, _, _ := strings.Cut(rest, "`"); strings.Contains(name, " ") {
				described[name] = false
			}
		}
	}
	for _, f := range pactFiles(t) {
		for _, i := range f.Interactions {
			for _, s := range i.ProviderStates {
				if _, ok := described[s.Name]; !ok {
					t.Errorf("%s: the state %q of %q is not described in docs/CONTRACT.md", f.file, s.Name, i.Description)
				}
				described[s.Name] = true
			}
		}
	}
	for name, used := range described {
		if !used {
			t.Errorf("docs/CONTRACT.md describes the state %q, which no interaction needs", name)
		}
	}
}

// read reads a file, named from the top of the module.
func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
