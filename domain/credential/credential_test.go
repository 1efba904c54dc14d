package credential

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/ports"
)

var update = flag.Bool("update", false, "write the golden files anew")

var storedNames = map[Stored]string{
	None: "none", Ours: "ours", OfOtherSite: "of other site", OfOtherUID: "of other machine",
	Unreadable: "unreadable", NewerVersion: "newer version",
}

var decisionNames = map[Decision]string{
	NotConfigured: "not configured", UseStored: "use stored", Enroll: "enroll", EnrollKeepingOld: "enroll, keeping old",
	UseLegacy: "use legacy", NeedKey: "need an enrollment key", BlockedUnreadable: "blocked: unreadable", BlockedNewer: "blocked: newer version",
}

func TestDecideTruthTable(t *testing.T) {
	var b strings.Builder
	fmt.Fprintf(&b, "%-18s %-5s %-7s %s\n", "stored", "site", "legacy", "decision")
	for stored := None; stored <= NewerVersion; stored++ {
		for _, site := range []bool{false, true} {
			for _, legacy := range []bool{false, true} {
				d := Decide(Found{Stored: stored, Site: site, Legacy: legacy})
				fmt.Fprintf(&b, "%-18s %-5v %-7v %s\n", storedNames[stored], site, legacy, decisionNames[d])
				t.Run(fmt.Sprintf("%s/site=%v/legacy=%v", storedNames[stored], site, legacy), func(t *testing.T) {
					keepsTheRules(t, stored, site, legacy, d)
				})
			}
		}
	}
	const golden = "testdata/decisions.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("the truth table changed; got:\n%s\nwant:\n%s", &b, want)
	}
}

// keepsTheRules checks the rules that matter most, so that a new golden file
// cannot lose them.
func keepsTheRules(t *testing.T, stored Stored, site, legacy bool, d Decision) {
	t.Helper()
	is := is.New(t)
	if stored == Unreadable || stored == NewerVersion {
		is.True(d == BlockedUnreadable || d == BlockedNewer) // never enroll over it
	}
	if d == UseStored {
		is.Equal(stored, Ours) // a key is sent only to who issued it
	}
	if d == UseLegacy {
		is.True(stored == None && !site && legacy) // only where there is nothing else
	}
	if d == Enroll || d == EnrollKeepingOld {
		is.True(site) // only where it is configured
	}
}

func TestClassify(t *testing.T) {
	cred := ports.Credential{ServerURL: "https://Enroll.example.org:443/fleet/", SiteCode: "ACME-HQ", MachineUID: "muid_a"}
	for name, test := range map[string]struct {
		server, site, uid string
		want              Stored
	}{
		"the same":                       {"https://enroll.example.org/fleet", "ACME-HQ", "muid_a", Ours},
		"another server":                 {"https://other.example.org/fleet", "ACME-HQ", "muid_a", OfOtherSite},
		"another path":                   {"https://enroll.example.org", "ACME-HQ", "muid_a", OfOtherSite},
		"another port":                   {"https://enroll.example.org:8443/fleet", "ACME-HQ", "muid_a", OfOtherSite},
		"another site":                   {"https://enroll.example.org/fleet", "ACME-LAB", "muid_a", OfOtherSite},
		"a site in other letters":        {"https://enroll.example.org/fleet", "acme-hq", "muid_a", OfOtherSite},
		"another machine":                {"https://enroll.example.org/fleet", "ACME-HQ", "muid_b", OfOtherUID},
		"another machine of other site":  {"https://other.example.org", "ACME-HQ", "muid_b", OfOtherUID},
		"nothing configured":             {"", "", "muid_a", Ours},
		"only the server is configured":  {"https://enroll.example.org/fleet", "", "muid_a", Ours},
		"only the site, and another one": {"", "ACME-LAB", "muid_a", OfOtherSite},
	} {
		t.Run(name, func(t *testing.T) {
			is.New(t).Equal(Classify(cred, test.server, test.site, test.uid), test.want)
		})
	}
}

func TestCanonicalURL(t *testing.T) {
	is := is.New(t)
	is.Equal(CanonicalURL("HTTPS://A.example:443/"), "https://a.example")
	is.Equal(CanonicalURL("http://127.0.0.1:80"), "http://127.0.0.1")
	is.Equal(CanonicalURL("https://a.example:8443/x//"), "https://a.example:8443/x")
	is.Equal(CanonicalURL("https://[::1]:443/X"), "https://[::1]/X")
	is.Equal(CanonicalURL("not a url"), "not a url")
	is.Equal(CanonicalManagerURL("https://M.example/api/v1/"), "https://m.example")
	is.Equal(CanonicalManagerURL("https://m.example/x"), "https://m.example/x")
}
