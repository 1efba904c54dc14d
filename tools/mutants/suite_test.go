package main

import (
	"testing"

	"github.com/matryer/is"
)

func TestJudge(t *testing.T) {
	for name, test := range map[string]struct {
		events string
		want   verdict
	}{
		"a subtest is named, not the tests around it": {
			`{"Action":"fail","Package":"github.com/muster-agent/muster/ports","Test":"TestA/b"}` + "\n" +
				`{"Action":"fail","Package":"github.com/muster-agent/muster/ports","Test":"TestA"}` + "\n" +
				`{"Action":"fail","Package":"github.com/muster-agent/muster/ports"}` + "\n",
			verdict{caught, "ports.TestA/b"},
		},
		"a build that fails is no catch": {
			`{"ImportPath":"x","Action":"build-output","Output":"undefined: y\n"}` + "\n" +
				`{"Action":"fail","Package":"github.com/muster-agent/muster/ports","FailedBuild":"x"}` + "\n",
			verdict{broken, "it does not compile: undefined: y"},
		},
		"a program that ends without a test": {
			`{"Action":"fail","Package":"github.com/muster-agent/muster/ports"}` + "\n",
			verdict{caught, "ports (broke off)"},
		},
		"no event at all": {"go: no such tool\n", verdict{broken, "exit status 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			is.New(t).Equal(judge([]byte(test.events), "exit status 1"), test.want)
		})
	}
}

func TestApplyRefusesAStaleText(t *testing.T) {
	is := is.New(t)
	m := in("f", suite{}, swap("m", "a", "b").times(2).also("c", "d"))[0]
	got, err := m.apply("a a c")
	is.NoErr(err)
	is.Equal(got, "b b d")
	_, err = m.apply("a c")
	is.True(err != nil)
	_, err = m.apply("a a")
	is.True(err != nil)
}
