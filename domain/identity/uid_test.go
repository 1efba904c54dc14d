package identity_test

import (
	"regexp"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/domain/identity"
	"github.com/muster-agent/muster/ports"
)

// These never change: servers know machines by them. Each was computed with
//
//	printf 'muster machine_uid v1\000SOURCE\000VALUE' | sha256sum
func TestMachineUIDIsForEver(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		source ports.IdentitySource
		values []string
		want   string
	}{
		{ports.SourceSystemUUID, []string{"7B2E1D9C-4A5F-4C3B-9E8D-1F2A3B4C5D6E"}, "muid_b1e5887189609f990c01ee61f5405110c88512ab39e0f0bb264b0fd9eede536d"},
		{ports.SourceBaseboardDisk, []string{"/7QA2MF9/CN1296319N0/", "S3Z9NB0K123456A"}, "muid_c695ad40ce63ca920ac7298ca4ea5b043954d2350283b1f2f640e421ba098237"},
		{ports.SourceMachineID, []string{"5F1B2C3D4E5F60718293A4B5C6D7E8F9"}, "muid_97972531a8380dec0c1ca4907e645e247403daf6a8a799ebdbcc0ad230312905"},
	} {
		if got := identity.MachineUID(c.source, c.values...); got != c.want {
			t.Errorf("MachineUID(%s) = %s, want %s", c.source, got, c.want)
		}
	}
}

func TestMachineUIDSeparatesItsParts(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	uid := identity.MachineUID(ports.SourceBaseboardDisk, "AB", "C")
	is.True(regexp.MustCompile(`^muid_[0-9a-f]{64}$`).MatchString(uid))
	is.True(uid != identity.MachineUID(ports.SourceBaseboardDisk, "A", "BC")) // another border between two values
	is.True(uid != identity.MachineUID(ports.SourceBaseboardDisk, "C", "AB")) // another order
	is.True(uid != identity.MachineUID(ports.SourceSystemUUID, "AB", "C"))    // another source
}
