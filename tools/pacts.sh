# shellcheck shell=sh
# Sourced by the scripts beside it, from the top of the repository: says what
# became of the committed pact files since.

pacts_sum() {
	# Without a file there is nothing to sum up, which is a sum too.
	cat contracttest/pacts/*.json 2>/dev/null | cksum
}
pacts_before=$(pacts_sum)

report_changed_pacts() {
	[ "$(pacts_sum)" = "$pacts_before" ] || cat >&2 <<'NOTE'

!! The pact files were not what the agent does, and were written anew: see
!! `git diff contracttest/pacts`. Commit them if the change is meant; a server
!! that does not know of it may refuse the agent.
NOTE
}
