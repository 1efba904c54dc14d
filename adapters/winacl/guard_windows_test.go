package winacl

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/matryer/is"
	"golang.org/x/sys/windows"

	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

func TestContract(t *testing.T) {
	t.Parallel()
	contracttest.Guard(t, func() ports.Guard { return Guard{} })
}

// TestWhatIsAskedFor shows that the descriptor that all is made with is the one
// that Windows reads in the text, and that it is judged as ours.
func TestWhatIsAskedFor(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	sa, err := attributes()
	is.NoErr(err)
	is.Equal(sa.SecurityDescriptor.String(), sddl)
	d, err := describe(sa.SecurityDescriptor)
	is.NoErr(err)
	is.True(reflect.DeepEqual(d, ours()))
	is.True(!d.foreign())
	is.Equal(d.wide(), "")
	is.Equal(d.reachedBy(rightsToUse), "")
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	const full = 0x1f01ff
	for text, want := range map[string]descriptor{
		"O:SYD:(A;;FA;;;SY)":                        {owner: system, allowed: []grant{{sid: system, rights: full}}},
		"O:BUD:PAI(A;OICIIO;GA;;;CO)(A;;0x1;;;WD)":  {owner: users, protected: true, allowed: []grant{{sid: "S-1-3-0", rights: genericAll, passedOn: true}, {sid: everyone, rights: 1}}},
		"O:" + user + "D:P(D;;FA;;;WD)(A;;FR;;;BU)": {owner: user, protected: true, allowed: []grant{{sid: users, rights: 0x120089}}},
		"O:" + trustedInstaller + "D:P":             {owner: trustedInstaller, protected: true},
		"O:SY":                                      {owner: system, open: true},
		"D:P(A;;FA;;;SY)":                           {protected: true, allowed: []grant{{sid: system, rights: full}}},
	} {
		sd, err := windows.SecurityDescriptorFromString(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		got, err := describe(sd)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v, want %+v", text, got, err, want)
		}
	}
}

func TestMakesAndClaims(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	guard, path := Guard{}, filepath.Join(t.TempDir(), "state")
	_, err := guard.Claim(path, false)
	is.True(errors.Is(err, fs.ErrNotExist))
	is.NoErr(guard.Mkdir(path))
	is.True(errors.Is(guard.Mkdir(path), fs.ErrExist))
	for _, readOnly := range []bool{true, false} {
		done, err := guard.Claim(path, readOnly)
		is.NoErr(err)
		is.Equal(done, ports.Recovery{})
	}
	file := filepath.Join(path, "file")
	f, err := guard.Create(file)
	is.NoErr(err)
	_, err = f.WriteString("content")
	is.NoErr(err)
	is.NoErr(guard.Unaltered(f))
	is.NoErr(os.Rename(file, file+"2")) // while it is open, as with package os
	is.NoErr(f.Close())
	is.NoErr(guard.Private(file + "2"))
	content, err := os.ReadFile(file + "2")
	is.NoErr(err)
	is.Equal(string(content), "content")
	_, err = guard.Create(file + "2")
	is.True(errors.Is(err, fs.ErrExist))
	is.True(errors.Is(guard.Private(file), fs.ErrNotExist))
	_, err = guard.Claim(file+"2", false)
	is.NoErr(err) // no directory: for others to judge
	_, err = guard.Create(filepath.Join(path, "absent", "file"))
	is.True(errors.Is(err, fs.ErrNotExist))
}

func TestAWholeDriveIsTold(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]bool{
		`C:\`: true, `D:\.`: true, `D:\x\..`: true, `\\server\share\`: true, `\\?\C:\`: true,
		`C:\ProgramData\Muster`: false, `D:\Muster`: false, `\\server\share\Muster`: false,
	} {
		if got := isRoot(path); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
}

func TestALinkIsNotFollowed(t *testing.T) {
	t.Parallel()
	contracttest.SkipWithoutLinks(t)
	is := is.New(t)
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	is.NoErr(os.Symlink(t.TempDir(), link))
	_, err := Guard{}.Claim(link, false)
	is.True(errors.Is(err, ports.ErrUnreadable))
}
