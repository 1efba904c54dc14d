package statedir

import (
	"io/fs"
	"os"
)

// On Windows protection is by access control lists, which come with the DPAPI
// store. Until then files have what their directory gives them.

func protect(*os.Root, fs.FileInfo, bool) error { return nil }

func exposed(string, fs.FileInfo) error { return nil }

type owner struct{}

func ownerOf(fs.FileInfo) owner { return owner{} }

func (owner) take(*os.File) error { return nil }

func (owner) takeDir(*os.Root, string) error { return nil }

// syncDir does nothing: Windows has no such call for a directory.
func syncDir(*os.File) error { return nil }

func readAdvice(string, error) string { return "" }

func writeAdvice(error) string { return "" }
