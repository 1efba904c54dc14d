package statussocket

import (
	"errors"
	"testing"

	"github.com/matryer/is"
	"golang.org/x/sys/windows"

	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

func TestContract(t *testing.T) {
	t.Parallel()
	contracttest.LocalStatus(t, func(t *testing.T) contracttest.LocalEndpoint {
		dir, taken := t.TempDir(), t.TempDir()
		squat(t, taken, sddl)
		return contracttest.LocalEndpoint{
			Server: NewServer(dir), Client: NewClient(dir), Forbidden: forbidden(dir), Closed: NewServer(taken),
		}
	})
}

func TestTheNameOfThePipe(t *testing.T) {
	is := is.New(t)
	// printf '%s' 'C:\ProgramData\Muster' | sha256sum
	is.Equal(endpoint(`C:\ProgramData\Muster`), `\\.\pipe\muster-e5eeb01c`)
	is.Equal(endpoint(`C:\ProgramData\x\..\Muster\`), endpoint(`C:\ProgramData\Muster`))
	is.True(endpoint(`C:\ProgramData\Other`) != endpoint(`C:\ProgramData\Muster`))
}

func TestWhoseAPipeIs(t *testing.T) {
	for text, want := range map[string]bool{
		sddl:                              true,
		"O:SYD:P(A;;FA;;;SY)":             true,
		"O:S-1-5-21-1-2-3-1001":           false,
		"O:S-1-5-21-1-2-3-500":            false, // the account Administrator: what it makes with its rights belongs to the group
		"O:BU":                            false,
		"O:LS":                            false,
		"O:NS":                            false,
		"O:WDD:P(A;;FA;;;SY)(A;;FA;;;BA)": false,
		"D:P(A;;FA;;;SY)":                 false,
	} {
		sd, err := windows.SecurityDescriptorFromString(text)
		is.New(t).NoErr(err)
		if got := anAgents(sd); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

// squat makes the pipe of a directory before its agent does, with the one end
// that it then has.
func squat(t *testing.T, dir, descriptor string) {
	t.Helper()
	is := is.New(t)
	sd, err := windows.SecurityDescriptorFromString(descriptor)
	is.NoErr(err)
	name, err := windows.UTF16PtrFromString(endpoint(dir))
	is.NoErr(err)
	end, err := windows.CreateNamedPipe(name, windows.PIPE_ACCESS_DUPLEX, 0, 1, 512, 512, 0, &windows.SecurityAttributes{SecurityDescriptor: sd})
	is.NoErr(err)
	t.Cleanup(func() { _ = windows.CloseHandle(end) })
}

// TestAPipeOfSomebodyElse shows that a caller asks nobody but an agent.
func TestAPipeOfSomebodyElse(t *testing.T) {
	is := is.New(t)
	dir := t.TempDir()
	squat(t, dir, "O:WDD:P(A;;FA;;;WD)")
	_, err := dial(t.Context(), dir) // before a word is said
	is.True(errors.Is(err, ports.ErrNotAnswering))
	is.True(NewServer(dir).Serve(t.Context(), ports.LocalCalls{}) != nil)
}

func TestThePipeIsMadeAsAsked(t *testing.T) {
	is := is.New(t)
	sa, err := attributes()
	is.NoErr(err)
	is.Equal(sa.SecurityDescriptor.String(), sddl)
	end, err := newEnd(endpoint(t.TempDir()), windows.FILE_FLAG_FIRST_PIPE_INSTANCE)
	is.NoErr(err)
	defer windows.CloseHandle(end)
	sd, err := windows.GetSecurityInfo(end, windows.SE_KERNEL_OBJECT, windows.OWNER_SECURITY_INFORMATION|windows.DACL_SECURITY_INFORMATION)
	is.NoErr(err)
	is.True(anAgents(sd))
	t.Logf("the pipe's descriptor: %s", sd)
}
