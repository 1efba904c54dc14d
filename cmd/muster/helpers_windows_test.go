package main

import (
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/muster-agent/muster/adapters/hwid"
	"github.com/muster-agent/muster/ports"
)

// machineOf is a machine as Windows shows it: the table in RawSMBIOSData.
func machineOf(t *testing.T, firmware table, disk, machineGUID string) ports.SignalReader {
	t.Helper()
	raw := binary.LittleEndian.AppendUint32([]byte{0, firmware.major, firmware.minor, 0}, uint32(len(firmware.structures)))
	raw = append(raw, firmware.structures...)
	return &hwid.Reader{
		Firmware:    func() ([]byte, error) { return raw, nil },
		DiskSerials: func() ([]string, error) { return []string{disk}, nil },
		MachineGUID: func() (string, error) { return machineGUID, nil },
		InContainer: func() bool { return false },
	}
}

// open is a ports.Guard for which somebody else may write one path.
type open struct {
	ports.Guard
	path string
}

func (o open) Sealed(file *os.File) error {
	if file.Name() == o.path {
		return errors.New("Users may write it")
	}
	return nil
}

func (open) Claim(string, bool) (ports.Recovery, error) { return ports.Recovery{}, nil }

// installations counts what is installed.
type installations struct {
	ports.ServiceManager
	n int
}

func (i *installations) Install(context.Context) error { i.n++; return nil }

const storedKey = "cak_canary0123456789abcdefghijklmnop"

func storedCredential() ports.Credential {
	return ports.Credential{
		Key: ports.NewSecret(storedKey), ServerURL: "https://enroll.example.org", SiteCode: "ACME",
		MachineUID: "muid_" + strings.Repeat("5f", 32), StoredAt: time.Unix(1, 0),
	}
}

// aside is a ports.Guard for which one directory is somebody else's.
type aside struct {
	ports.Guard
	dir string
	err error
}

func (a aside) Claim(path string, _ bool) (ports.Recovery, error) {
	if path != a.dir {
		return ports.Recovery{}, nil
	}
	if a.err != nil {
		return ports.Recovery{}, a.err
	}
	if err := os.Rename(path, path+".foreign"); err != nil {
		return ports.Recovery{}, err
	}
	return ports.Recovery{File: path, Action: "set aside", SetAside: path + ".foreign", Reason: "it belongs to a user"}, fs.ErrNotExist
}

func (aside) Unaltered(*os.File) error { return nil }
