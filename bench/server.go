//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

const (
	siteCode      = "BENCH"
	enrollmentKey = "cek_bench-bench-bench" // of a server that lives as long as the bench
)

// server is a fake server that runs.
type server struct {
	cmd         *exec.Cmd
	url, caFile string
}

func startServer(ctx context.Context, path, dir string) (*server, error) {
	s := &server{caFile: filepath.Join(dir, "ca.pem")}
	s.cmd = exec.CommandContext(ctx, path, "serve", "--addr", "127.0.0.1:0", "--site", siteCode+"="+enrollmentKey, "--ca-out", s.caFile)
	s.cmd.Stderr = os.Stderr
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the fake server: %w", err)
	}
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	var ready struct{ Event, URL string }
	if err == nil {
		err = json.Unmarshal(line, &ready)
	}
	if err != nil || ready.Event != "ready" {
		s.stop()
		return nil, fmt.Errorf("the fake server did not say that it is ready but %q (%v)", line, err)
	}
	s.url = ready.URL
	return s, nil
}

// environ configures an agent for the server, with nothing from outside.
func (s *server) environ() []string {
	return []string{
		"MUSTER_SERVER_URL=" + s.url,
		"MUSTER_SITE_CODE=" + siteCode,
		"MUSTER_ENROLLMENT_KEY=" + enrollmentKey,
		"MUSTER_TRUST_CA_FILE=" + s.caFile,
	}
}

// stop kills the server: nothing of it is needed any more.
func (s *server) stop() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}
