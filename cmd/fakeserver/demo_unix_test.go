//go:build unix

package main

import "testing"

// Elsewhere the demo cannot tell an agent to stop, so that its exit code says
// nothing.
func TestDemoFailsWhenTheAgentEndsWithAnotherCode(t *testing.T) {
	fails(t, "ends with 3", "step 9 did not go as told: the agent of desk-1 was told to stop and ended with 3")
}
