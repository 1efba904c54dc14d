package statedir

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"

	"github.com/muster-agent/muster/ports"
)

// keySum begins the line before the PEM block, which holds the SHA-256 of all
// that follows it, in hex. Text before a block is part of the format (RFC 7468,
// section 2), so other programs read the key; a block by itself would not tell
// a flipped bit from another key.
const keySum = "sha256: "

// checkKey reports whether text is one PEM block and nothing else.
func checkKey(text []byte) error {
	block, rest := pem.Decode(text)
	if block == nil || !bytes.HasPrefix(text, []byte("-----BEGIN ")) || len(bytes.TrimSpace(rest)) > 0 {
		return errors.New("it holds no private key in PEM")
	}
	return nil
}

func keyRecord(d *Dir) record[ports.Secret] {
	return newRecord(recordFile{
		dir: d, folder: enrollmentFolder, name: keyFile, format: 1, private: true, readBack: true, bare: true,
		purpose: "key of a request",
	}, marshalKey, unmarshalKey)
}

func marshalKey(key ports.Secret) ([]byte, error) {
	text := []byte(key.Reveal()) // into the file that protects it
	if checkKey(text) != nil {
		return nil, errors.New("what was to be stored is no private key in PEM")
	}
	sum := sha256.Sum256(text)
	return append([]byte(keySum+hex.EncodeToString(sum[:])+"\n"), text...), nil
}

func unmarshalKey(_ int, data []byte) (ports.Secret, error) {
	if len(data) == 0 {
		return ports.Secret{}, errors.New("it is empty")
	}
	line, text, _ := bytes.Cut(data, []byte("\n"))
	sum := sha256.Sum256(text)
	if string(line) != keySum+hex.EncodeToString(sum[:]) {
		return ports.Secret{}, errors.New("its checksum is wrong")
	}
	if err := checkKey(text); err != nil {
		return ports.Secret{}, err
	}
	return ports.NewSecret(string(text)), nil
}

// LoadKey implements ports.IssueJournal.
func (d *Dir) LoadKey(ctx context.Context) (ports.Secret, error) {
	return d.key.read(ctx)
}

// SaveKey implements ports.IssueJournal. What is not one PEM block is refused
// with ErrNotWritten.
func (d *Dir) SaveKey(ctx context.Context, key ports.Secret) error {
	return d.key.write(ctx, key)
}

// EraseKey implements ports.IssueJournal. What was set aside stays.
func (d *Dir) EraseKey(ctx context.Context) error {
	return d.change(ctx, d.key.remove)
}
