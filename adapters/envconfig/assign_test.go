package envconfig

import (
	"strings"
	"testing"

	"github.com/matryer/is"
)

func TestAssign(t *testing.T) {
	t.Parallel()
	url := Assignment{"MUSTER_SERVER_URL", "https://new.example.org"}
	key := Assignment{"MUSTER_ENROLLMENT_KEY", "cek_new"}
	for name, tt := range map[string]struct {
		before string
		values []Assignment
		after  string
	}{
		"a new file":          {"", []Assignment{url, key}, "MUSTER_SERVER_URL='https://new.example.org'\nMUSTER_ENROLLMENT_KEY='cek_new'\n"},
		"another is kept":     {"# hello\nMUSTER_SITE_CODE=A\n", []Assignment{url}, "# hello\nMUSTER_SITE_CODE=A\nMUSTER_SERVER_URL='https://new.example.org'\n"},
		"the old one goes":    {"MUSTER_SERVER_URL=https://old\nMUSTER_SITE_CODE=A", []Assignment{url}, "MUSTER_SITE_CODE=A\nMUSTER_SERVER_URL='https://new.example.org'\n"},
		"each of them":        {" MUSTER_SERVER_URL = x\\\n y\nA=1\n\nMUSTER_SERVER_URL='x\ny'\n", []Assignment{url}, " A=1\n\nMUSTER_SERVER_URL='https://new.example.org'\n"},
		"and its twin":        {"MUSTER_ENROLLMENT_KEY_FILE=/etc/key\n", []Assignment{key}, "MUSTER_ENROLLMENT_KEY='cek_new'\n"},
		"a comment is none":   {"# MUSTER_SERVER_URL=x\n", []Assignment{url}, "# MUSTER_SERVER_URL=x\nMUSTER_SERVER_URL='https://new.example.org'\n"},
		"as Windows writes":   {"\ufeffA=1\r\nMUSTER_SERVER_URL=x\r\nB=2\r\n", []Assignment{url}, "A=1\nB=2\nMUSTER_SERVER_URL='https://new.example.org'\n"},
		"backslashes":         {"", []Assignment{{"MUSTER_TRUST_CA_FILE", `C:\new\ca.pem`}}, "MUSTER_TRUST_CA_FILE='C:\\new\\ca.pem'\n"},
		"what is wrong stays": {"nonsense\nA=\"open\n", []Assignment{url}, "nonsense\nA=\"open\nMUSTER_SERVER_URL='https://new.example.org'\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			after, err := assign(tt.before, tt.values)
			is.NoErr(err)
			is.Equal(after, tt.after)
			if strings.Contains(name, "wrong") {
				return
			}
			read, faults := parseEnvironmentFile(after)
			is.Equal(len(faults), 0)
			for _, v := range tt.values {
				last := ""
				for _, a := range read {
					if a.name == v.Name {
						last = a.value
					}
				}
				is.Equal(last, v.Value)
			}
		})
	}
	for _, bad := range []Assignment{{"no name", "x"}, {"MUSTER_ENROLLMENT_KEY", "cek'x"}, {"MUSTER_ENROLLMENT_KEY", "cek\nA=1"}} {
		_, err := assign("", []Assignment{bad})
		if err == nil || strings.Contains(err.Error(), "cek") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
