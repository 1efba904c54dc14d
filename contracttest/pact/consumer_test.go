//go:build pact

package pact_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	pactlog "github.com/pact-foundation/pact-go/v2/log"
)

func TestMain(m *testing.M) {
	quiet()
	if fake := os.Getenv(statesCommandFor); fake != "" {
		os.Exit(statesCommand(fake, os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// quiet keeps the library from calling home, from asking a proxy for what is
// on this machine, and from telling what goes well.
func quiet() {
	here := "localhost,127.0.0.1,::1"
	for name, value := range map[string]string{"PACT_DO_NOT_TRACK": "true", "NO_PROXY": here, "no_proxy": here} {
		if err := os.Setenv(name, value); err != nil {
			panic(err) // a name without = and values without NUL
		}
	}
	if err := pactlog.SetLogLevel("ERROR"); err != nil {
		panic(err) // it is one of the library's levels
	}
	log.SetOutput(complaints{})
}

// complaints passes the library's errors on, but for the one with which it
// greets each mock server and verifier after the first.
type complaints struct{}

func (complaints) Write(line []byte) (int, error) {
	text := string(line)
	if !strings.Contains(text, "[ERROR]") || strings.Contains(text, "one is applied already") {
		return len(line), nil
	}
	return os.Stderr.Write(line)
}

// TestConsumer has the adapters ask pact's mock server for every interaction,
// writes the pact files, and compares them with the committed ones. Where
// there is no CI it then puts the new ones in their place; tools/pact.sh says
// so.
func TestConsumer(t *testing.T) {
	dir := t.TempDir() // pact merges into what is there
	interactions := slices.Concat(siteInteractions(), managerInteractions(), managerFaultInteractions())
	written := 0
	for _, i := range interactions {
		t.Run(i.name, func(t *testing.T) {
			i.write(t, dir)
			if !t.Failed() {
				written++
			}
		})
	}
	if written < len(interactions) {
		return // an interaction failed, or only some were asked for: the files are not whole
	}
	names := map[string]bool{}
	for _, i := range interactions {
		names[i.in.file()] = true
	}
	for name := range names {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatalf("read what pact wrote: %v", err)
		}
		compare(t, filepath.Join(pactDir, name), finish(t, text, interactions))
	}
	for _, committed := range pactFiles(t) {
		if !names[committed.file] {
			t.Errorf("%s is of no contract any more: delete it", committed.file)
		}
	}
}

// compare judges a committed pact file by what it should be.
func compare(t *testing.T, name string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if bytes.Equal(got, want) {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Errorf("%s is not what the agent does: run ./dev pact, and commit what it changes. At its first difference, line %s", name, difference(got, want))
		return
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, want, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s was changed at line %s", name, difference(got, want))
}

// finish brings a pact file into its final form. It adds what pact-go cannot
// say: that a raw body has a form, and may be of any type. And it leaves out
// where a redirect leads, since pact's verifier, unlike the agent, would go
// there.
func finish(t *testing.T, text []byte, all []interaction) []byte {
	t.Helper()
	forms := map[string]string{}
	for _, i := range all {
		forms[i.name] = i.response.rawForm
	}
	var file map[string]any
	numbers := json.NewDecoder(bytes.NewReader(text))
	numbers.UseNumber() // as they stand
	if err := numbers.Decode(&file); err != nil {
		t.Fatalf("read what pact wrote: %v", err)
	}
	for _, one := range file["interactions"].([]any) {
		i := one.(map[string]any)
		response := i["response"].(map[string]any)
		headers, _ := response["headers"].(map[string]any) // absent: none
		delete(headers, "Location")
		if form := forms[i["description"].(string)]; form != "" {
			response["matchingRules"] = map[string]any{
				"body":   map[string]any{"$": regexRule(form)},
				"header": map[string]any{"Content-Type": regexRule(`^.+$`)},
			}
		}
		if len(headers) == 0 {
			delete(response, "headers")
		}
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(file); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func regexRule(pattern string) map[string]any {
	return map[string]any{"combine": "AND", "matchers": []any{map[string]any{"match": "regex", "regex": pattern}}}
}

// difference is the first line in which two texts differ.
func difference(got, want []byte) string {
	old, fresh := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	n := 0
	for n < len(old) && n < len(fresh) && old[n] == fresh[n] {
		n++
	}
	line := func(lines []string) string {
		if n < len(lines) {
			return strings.TrimSpace(lines[n])
		}
		return "(the end)"
	}
	return fmt.Sprintf("%d: %s in place of %s", n+1, line(fresh), line(old))
}
