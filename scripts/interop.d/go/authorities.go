package main

import (
	"encoding/pem"
	"errors"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"os/exec"
	"path/filepath"
)

// authorities runs COMMAND beside the services that a keyless signature needs, and ends with it. COMMAND finds
//
//	AUTHORITIES_URL   where they are: Fulcio's API, TSA at /api/v1/timestamp, tokens at /token/email and /token/github
//
// It is an HTTP proxy too, to which every host name is this machine: so clients reach each shard under its own name.
// And in FOLDER is what `cosign trusted-root create` takes: fulcio.pem, ct.pub, tsa.pem.
func authorities(args []string) error {
	if len(args) < 2 {
		return errors.New("a folder and a command expected")
	}
	folder, command := args[0], exec.Command(args[1], args[2:]...)
	listener, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		return err
	}
	url := "http://" + listener.Addr().String()
	identities, err := newIdentityProvider(url)
	if err != nil {
		return err
	}
	fulcio, err := newCertificateAuthority(identities)
	if err != nil {
		return err
	}
	stamps, err := newTimestampAuthority()
	if err != nil {
		return err
	}
	for name, blocks := range map[string][]*pem.Block{
		"fulcio.pem": fulcio.chain(), "ct.pub": {fulcio.logKey()}, "tsa.pem": stamps.chain(),
	} {
		var text []byte
		for _, block := range blocks {
			text = append(text, pem.EncodeToMemory(block)...)
		}
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o644); err != nil {
			return err
		}
	}
	routes := http.NewServeMux()
	routes.HandleFunc("POST /api/v2/signingCert", fulcio.issue)
	routes.HandleFunc("POST /api/v1/signingCert", fulcio.issueLegacy)
	routes.HandleFunc("POST /api/v1/timestamp", stamps.stamp)
	routes.HandleFunc("GET /token/{identity}", identities.token)
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Host = net.JoinHostPort("127.0.0.1", r.In.URL.Port())
		r.Out.Host = r.In.Host
	}}
	go func() {
		_ = http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.IsAbs() {
				proxy.ServeHTTP(w, r)
			} else {
				routes.ServeHTTP(w, r)
			}
		}))
	}()

	command.Env = append(os.Environ(), "AUTHORITIES_URL="+url)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	return command.Run()
}
