package cert

import "github.com/muster-agent/muster/ports"

// Damaged returns the problems of the files that were read and cannot be
// decoded: they are empty, cut short, or hold something else. Neither time nor
// another file can make them sound. A file that could not be read is not among
// them, nor is one that is merely expired, untrusted or for another key. A part
// of f without a Path is not judged.
func Damaged(f Files) (problems []Problem) {
	if f.CA.Path != "" && f.CA.Err == nil {
		_, wrong := certificates(f.CA)
		problems = append(problems, wrong...)
	}
	if f.Server.Path != "" && f.Server.Err == nil {
		_, wrong := certificates(f.Server)
		problems = append(problems, wrong...)
	}
	if f.Key.Path != "" && f.Key.Err == nil {
		_, wrong := privateKey(f.Key)
		problems = append(problems, wrong...)
	}
	if f.CRL.Path != "" && f.CRL.Err == nil {
		if _, err := revocationLists(f.CRL); err != nil {
			problems = append(problems, Problem{Status: ports.CertCorrupt, Path: f.CRL.Path, Text: err.Error()})
		}
	}
	return problems
}
