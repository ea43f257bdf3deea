//go:build unix

package redis_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/testing/redisserver"
	"github.com/mpmetrics/mpmetrics/store"
)

// A location says how to connect, and with what rights.
func TestConnections(t *testing.T) {
	dir, err := os.MkdirTemp("", "mpmetrics") // the path of a socket has little room
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, tlsPort, _ := net.SplitHostPort(ln.Addr().String())
	_ = ln.Close()
	cert, key := certificate(t, dir)
	server := redisserver.Start(t, "--unixsocket", dir+"/s", "--tls-port", tlsPort, "--tls-cert-file", cert, "--tls-key-file", key,
		"--tls-ca-cert-file", cert, "--tls-auth-clients", "no")
	server.Do("acl", "setuser", "app", "on", ">pass", "~*", "+@all")
	plain := server.URL("namespace=plain")
	for name, row := range map[string]struct {
		location string
		bad      bool
	}{
		"plain":              {location: plain},
		"user and password":  {location: strings.Replace(plain, "://", "://app:pass@", 1)},
		"wrong password":     {location: strings.Replace(plain, "://", "://app:wrong@", 1), bad: true},
		"unix socket":        {location: "unix://" + dir + "/s?namespace=unix&db=0"},
		"no such socket":     {location: "unix://" + dir + "/none", bad: true},
		"TLS":                {location: "rediss://127.0.0.1:" + tlsPort + "/0?namespace=tls&skip_verify=true"},
		"TLS of nobody":      {location: "rediss://127.0.0.1:" + tlsPort + "/0?namespace=tls", bad: true},
		"database 3":         {location: strings.Replace(plain, "/0?", "/3?", 1)},
		"no such database":   {location: strings.Replace(plain, "/0?", "/99?", 1), bad: true},
		"RESP2":              {location: plain + "&protocol=2"},
		"unknown parameters": {location: plain + "&namespaces=x", bad: true},
	} {
		t.Run(name, func(t *testing.T) {
			if row.bad {
				s, err := store.Open(store.Opts{Location: row.location, NoAbsorption: true, Logger: slog.New(slog.DiscardHandler)})
				if err == nil {
					_ = s.Close()
					t.Fatal("no error")
				}
				if strings.Contains(err.Error(), "wrong") && name == "wrong password" {
					t.Errorf("the password is in the error: %v", err)
				}
				return
			}
			server.Do("flushall")
			s, c := counting(t, row.location)
			c.Inc()
			_ = s.Flush(context.Background())
			comesTo(t, newWatcher(t, row.location, nil), 1)
		})
	}
}

// certificate makes a certificate that nobody knows.
func certificate(t *testing.T, dir string) (certPath, keyPath string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert": {Type: "CERTIFICATE", Bytes: cert}, "key": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(dir+"/"+name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir + "/cert", dir + "/key"
}
