package wsrelay

import "net/url"

// Endpoint is where the relay is: at the enrollment server's URL with the
// scheme of a WebSocket and /ws/agent appended; or at relay, if that is not
// nil, which is the complete endpoint but for an empty path, which means
// /ws/agent. Both are as configured: http and https are turned into ws and
// wss.
func Endpoint(server, relay *url.URL) *url.URL {
	var u url.URL
	switch {
	case relay == nil:
		u = *server.JoinPath("ws", "agent")
		u.RawQuery = ""
	case relay.Path == "":
		u = *relay.JoinPath("ws", "agent")
	default:
		u = *relay
	}
	u.Fragment, u.RawFragment = "", ""
	switch u.Scheme {
	case "https":
		u.Scheme = "wss"
	case "http":
		u.Scheme = "ws"
	}
	return &u
}
