// Package app tells the story of an agent's life in use cases. It carries out
// the decisions of domain, through ports. Each idea has a room of its own in
// internal; agent.go puts them together:
//
//	relay ──"enroll again"──▶ site ──API key──▶ relay
//	  └──"renew now"──▶ issue/certs ◀──"renew now"── status socket, revocation list
//	                       └──"servable"──▶ listener, revocation list
//	the five loops write ▶ tracker;  all but the listener count in ▶ attempts;  all HTTP answers teach ▶ skew
package app
