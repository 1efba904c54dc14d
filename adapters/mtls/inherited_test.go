//go:build unix

package mtls

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/matryer/is"
)

// child names what TestMain does in a process that a test starts.
const child = "MUSTER_MTLS_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(child) != "" {
		if err := serveInherited(os.Getenv(child)); err != nil {
			fmt.Println("failed:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serveInherited serves twice on sockets that this process was started with,
// until its standard input ends.
func serveInherited(variables string) error {
	environ := append(strings.Split(variables, " "), "LISTEN_PID="+strconv.Itoa(os.Getpid()))
	listener := NewListener(Options{Holder: new(Holder), Environ: environ})
	input := bufio.NewReader(os.Stdin)
	for range 2 {
		ctx, cancel := context.WithCancel(context.Background())
		err := listener.Serve(ctx, "127.0.0.1:1", noHealth, func(addr string) {
			fmt.Println("opened", addr)
			go func() {
				_, _ = input.ReadString('\n') // its end says the same
				cancel()
			}()
		})
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

func TestSystemdSockets(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		variables string
		want      int // which of two sockets; -1 for none
	}{
		{"LISTEN_FDS=1", 0},
		{"LISTEN_FDS=1 LISTEN_FDNAMES=muster.socket", 0},
		{"LISTEN_FDS=2 LISTEN_FDNAMES=other:mtls", 1},
		{"LISTEN_FDS=2 LISTEN_FDNAMES=mtls:other", 0},
		{"LISTEN_FDS=2 LISTEN_FDNAMES=other:another", -1},
		{"LISTEN_FDS=2", -1},
	} {
		t.Run(tt.variables, func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			var files []*os.File
			var addrs []string
			for range 2 {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				is.NoErr(err)
				defer l.Close()
				file, err := l.(*net.TCPListener).File()
				is.NoErr(err)
				defer file.Close()
				files, addrs = append(files, file), append(addrs, l.Addr().String())
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			cmd := exec.CommandContext(ctx, os.Args[0])
			cmd.Env = append(os.Environ(), child+"="+tt.variables)
			cmd.ExtraFiles = files
			cmd.Stdin = strings.NewReader("\n\n")
			out, err := cmd.Output()
			if tt.want < 0 {
				is.True(err != nil) // none of the sockets is meant
				is.True(strings.Contains(string(out), "FileDescriptorName=mtls"))
				return
			}
			is.NoErr(err)
			is.Equal(string(out), strings.Repeat("opened "+addrs[tt.want]+"\n", 2))
		})
	}
}

func TestSocketsOfAnotherProcess(t *testing.T) {
	t.Parallel()
	me := "LISTEN_PID=" + strconv.Itoa(os.Getpid())
	for _, tt := range []struct {
		environ []string
		want    bool
	}{
		{nil, false},
		{[]string{"LISTEN_FDS=1"}, false},
		{[]string{"LISTEN_PID=1", "LISTEN_FDS=1"}, false},
		{[]string{me}, false},
		{[]string{me, "LISTEN_FDS=0"}, false},
		{[]string{me, "LISTEN_FDS=-1"}, false},
		{[]string{me, "LISTEN_FDS=x"}, false},
		{[]string{me, "LISTEN_FDS=99999"}, false},
		{[]string{me, "LISTEN_FDS=1"}, true},
	} {
		if got := inheritedFrom(tt.environ).any(); got != tt.want {
			t.Errorf("%q: got %v", tt.environ, got)
		}
	}
}

func TestDescriptorThatIsNone(t *testing.T) {
	t.Parallel()
	_, err := listenOn(1 << 20)
	is.New(t).True(err != nil)
}
