//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"
)

// relay upgrades the connection, says so as the agent's log does, and pings
// every 30 s until ctx is done.
func (c *client) relay(ctx context.Context, key string) error {
	target := c.server.JoinPath("/ws/agent")
	target.RawQuery = url.Values{
		"agent_id":    {"00000000-0000-4000-8000-000000000000"},
		"machine_uid": {os.Getenv("MUSTER_MACHINE_UID")},
		"hostname":    {hostname()},
		"api_key":     {key},
	}.Encode()
	request, err := http.NewRequest(http.MethodGet, target.String(), nil)
	if err != nil {
		return err
	}
	request.Header.Set("Connection", "Upgrade")
	request.Header.Set("Upgrade", "websocket")
	request.Header.Set("Sec-WebSocket-Version", "13")
	request.Header.Set("Sec-WebSocket-Key", "Zmxvb3JmbG9vcmZsb29yIQ==") // any 16 bytes
	response, err := c.conn.RoundTrip(request)
	if err != nil {
		return err
	}
	socket, ok := response.Body.(io.ReadWriteCloser)
	if response.StatusCode != http.StatusSwitchingProtocols || !ok {
		return fmt.Errorf("the relay answered with status %d", response.StatusCode)
	}
	defer socket.Close() // the process ends
	fmt.Fprintln(os.Stderr, `{"event":"relay.connected"}`)

	ended := make(chan error, 1)
	go func() { // what the relay sends is not looked at
		buffer := make([]byte, 512)
		for {
			if _, err := socket.Read(buffer); err != nil {
				ended <- err
				return
			}
		}
	}()
	ping := []byte{0x89, 0x80, 1, 2, 3, 4} // RFC 6455, 5.2: ping, masked, empty
	ticker := time.NewTicker(30 * time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if _, err := socket.Write(ping); err != nil {
				return err
			}
		case err := <-ended:
			return err
		case <-ctx.Done():
			_, err := socket.Write([]byte{0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8}) // close, masked, 1000
			return err
		}
	}
}
