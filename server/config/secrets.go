package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxSecretFile bounds what is read of a file with a token or password, in bytes.
const maxSecretFile = 4 << 10

// AdminToken reads the token that the admin port asks for; empty if none is set.
func (c *Config) AdminToken() (string, error) {
	return readSecret("admin_token_file", c.AdminTokenFile)
}

// Password reads the password of the node's user at Kafka; empty without SASL.
func (s *SASL) Password() (string, error) {
	return readSecret("kafka.sasl.password_file", s.PasswordFile)
}

// readSecret returns the one line that a file holds.
func readSecret(key, path string) (string, error) {
	if path == "" {
		return "", nil
	}
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("%s: %w", key, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err != nil {
		return "", fmt.Errorf("%s: %w", key, err)
	}
	secret := strings.TrimRight(string(b), "\r\n")
	if secret == "" || len(b) > maxSecretFile || strings.ContainsAny(secret, "\r\n") {
		return "", fmt.Errorf("%s: %s must hold one line of at most %d bytes", key, path, maxSecretFile)
	}
	return secret, nil
}

// Password reads the password of the node's user at Cassandra; empty without a user.
func (c *Cassandra) Password() (string, error) {
	return readSecret("history.cassandra.password_file", c.PasswordFile)
}

// Config reads the files and returns the settings of TLS connections; nil while
// TLS is not enabled. key is that of these settings, for errors.
func (t *TLS) Config(key string) (*tls.Config, error) {
	if !t.Enabled {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("%s.ca_file: %w", key, err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New(key + ".ca_file: " + t.CAFile + " holds no certificate in PEM")
		}
	}
	if t.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("%[1]s.cert_file, %[1]s.key_file: %[2]w", key, err)
		}
		c.Certificates = []tls.Certificate{cert}
	}
	return c, nil
}
