package redact

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/ports"
)

const (
	key   = "cek_4gT7wQ2nLs9vKb1xZp6rYd3mHc8f"
	token = "Canary/Token %41+Q7x2Mp9Lr4Tz8Vb3"
	pem   = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIB7tQm1kZyB3\n-----END EC PRIVATE KEY-----\n"
)

func TestWords(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ words, want string }{
		{"plain words, untouched: see https://example.org/help.", "plain words, untouched: see https://example.org/help."},
		{"Ünïcode, 日本語", "Ünïcode, 日本語"},
		{"a\x00b\x1b[31mc\u202ed\te\nf\u0085g", "ab[31mcd e f g"},
		{"the key " + key + " is wrong", "the key [redacted] is wrong"},
		{"the key '" + strings.ToUpper(key) + "'", "the key '[redacted]'"},
		{"starts with " + key[:14], "starts with [redacted]"},
		{"ends with " + key[12:], "ends with [redacted]"},
		{"split: " + key[:9] + " " + key[9:18] + " " + key[18:], "split: [redacted] [redacted] [redacted]"},
		{"the token " + token + " is used", "the token [redacted] is used"},
		{"/status/" + url.PathEscape(token) + "/", "/status/[redacted]/"},
		{"?token=" + url.QueryEscape(token) + "&a", "?token=[redacted]&a"},
		{"ends with " + token[20:], "ends with [redacted]"},
		{"8 of it: " + token[20:28] + "!", "8 of it: [redacted]!"},
		{"7 of it: " + token[20:27] + "!", "7 of it: " + token[20:27] + "!"},
		{"a " + pem + " b", "a [redacted]  b"},
		{"a -----BEGIN PRIVATE KEY-----\nMIG", "a [redacted]"},
		{pem + "x" + pem, "[redacted] x[redacted]"},
		{"minted cak_a", "minted [redacted]"},
		{"other cek_x and cak_1 keys", "other [redacted] and [redacted] keys"},
		{"a key begins with cek_, or \"cak_\". Not with CEK_", "a key begins with cek_, or \"cak_\". Not with CEK_"},
		{"cek_cek_ cek_- cek_.x cek_\"x cek_,x xcek_ cek_=", "[redacted] [redacted] [redacted].x [redacted]\"x [redacted],x [redacted] [redacted]"},
		{"base64 " + base64.StdEncoding.EncodeToString([]byte(key)) + "!", "base64 [redacted]!"},
		{"hex 0123456789abcdef0123", "hex [redacted]"},
		{"hex 0123456789abcdef012", "hex 0123456789abcdef012"},
		{"ENROLL_SITE_CONFLICT_WITH stays, as does incomprehensibilities", "ENROLL_SITE_CONFLICT_WITH stays, as does incomprehensibilities"},
		{strings.Repeat("ä", 200), strings.Repeat("ä", 200)},
		{strings.Repeat("ä", 201), strings.Repeat("ä", 199) + "…"},
		{strings.Repeat("x ", 90) + key, strings.Repeat("x ", 90) + "[redacted]"},
	} {
		if got := Words(tt.words, ports.NewSecret(key), ports.NewSecret(token)); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.words, got, tt.want)
		}
	}
	is := is.New(t)
	is.Equal(Words("no secret"), "no secret")
	is.Equal(Words("no secret", ports.Secret{}), "no secret")
	is.Equal(Words("a short key", ports.NewSecret("short")), "a [redacted] key")
	is.Equal(Secrets("IT IS OPEN sesame", ports.NewSecret("Open Sesame")), "IT IS [redacted]") // in whatever case
	is.Equal(Words("a/b and a%2Fb", ports.NewSecret("a/b")), "[redacted] and [redacted]")
}

func TestKeys(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	is.Equal(Keys("/etc/"+key+"/x and "+strings.ToUpper(key)), "/etc/[redacted]/x and [redacted]")
	is.Equal(Keys("cek_abc!secretsecret, cak_y!"), "[redacted], [redacted]!")                      // punctuation inside is the key's
	is.Equal(Keys("/srv/build-20260301T120000/agent.env"), "/srv/build-20260301T120000/agent.env") // a path is no key
	for text, want := range map[string]bool{key: true, "CAK_": false, "CAK_a": true, "cek": false, "": false, " cek_a": false} {
		is.Equal(BeginsWithKey(text), want)
	}
}

func TestName(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	for _, same := range []string{"reenroll", "a.b-c_d9", strings.Repeat("x", 40)} {
		is.Equal(Name(same), same)
	}
	for _, none := range []string{"", "two words", "a\x00", "naïve", "cak_a", "xcek_", "xCEK_", "camelCase", "a:b", "a/b", strings.Repeat("x", 41)} {
		is.Equal(Name(none), "")
	}
}

// Whatever a server says: no part of a secret of 8 characters gets through,
// nor a control character, nor more than is allowed.
func FuzzWords(f *testing.F) {
	for _, s := range []string{"", key, token, pem, "x" + key[3:12] + key[5:20], "cek_ cak_x", strings.Repeat(key, 30)} {
		f.Add(s)
	}
	const part = 8 // not redact's own number, which is what is tested
	f.Fuzz(func(t *testing.T, words string) {
		got := Words(words, ports.NewSecret(key), ports.NewSecret(token))
		if utf8.RuneCountInString(got) > wordsLimit || strings.ContainsFunc(got, unicode.IsControl) {
			t.Fatalf("%q gives %q", words, got)
		}
		folded := strings.ToLower(got)
		for _, secret := range []string{key, token, url.PathEscape(token)} {
			for i := 0; i+part <= len(secret); i++ {
				if held := strings.ToLower(secret[i : i+part]); strings.Contains(folded, held) && !strings.Contains(strings.ToLower(Mark), held) {
					t.Fatalf("%q gives %q, which holds %q", words, got, held)
				}
			}
		}
	})
}

func TestUserinfo(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"no URL@all":                              "no URL@all",
		"https://enroll.example.org/a@b":          "https://enroll.example.org/a@b", // not before the host
		"http://user:p@ss@proxy:3128 is no proxy": "http://" + Mark + "@proxy:3128 is no proxy",
		"socks5://a@one, http://b:c@two?q=d@e":    "socks5://" + Mark + "@one, http://" + Mark + "@two?q=d@e",
	} {
		is.New(t).Equal(Userinfo(text), want)
	}
}
