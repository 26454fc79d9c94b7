package config_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/server/config"
)

func TestSecretsAreReadFromFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "secret")
	for _, test := range []struct {
		text, want string
		ok         bool
	}{
		{"s3cret\n", "s3cret", true},
		{"s3cret", "s3cret", true},
		{" with spaces \r\n", " with spaces ", true},
		{"", "", false},
		{"\n", "", false},
		{"two\nlines\n", "", false},
		{strings.Repeat("s", 5000), "", false},
	} {
		if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
			t.Fatal(err)
		}
		c := config.Config{AdminTokenFile: path, Kafka: config.Kafka{SASL: config.SASL{PasswordFile: path}}}
		token, tokenErr := c.AdminToken()
		password, passwordErr := c.Kafka.SASL.Password()
		if token != test.want || password != test.want || (tokenErr == nil) != test.ok || (passwordErr == nil) != test.ok {
			t.Errorf("%.20q: token %q (%v), password %q (%v)", test.text, token, tokenErr, password, passwordErr)
		}
		for _, err := range []error{tokenErr, passwordErr} {
			if secret := strings.TrimSpace(test.text); err != nil && secret != "" && strings.Contains(err.Error(), secret) {
				t.Errorf("%.20q: the error shows it: %v", test.text, err)
			}
		}
	}
	absent := config.Config{AdminTokenFile: filepath.Join(dir, "absent")}
	if _, err := absent.AdminToken(); err == nil || !strings.HasPrefix(err.Error(), "admin_token_file: open ") {
		t.Errorf("a file that is not there: %v", err)
	}
	var none config.Config
	if token, err := none.AdminToken(); token != "" || err != nil {
		t.Errorf("no file: %q, %v", token, err)
	}
}

func TestTLSConfig(t *testing.T) {
	dir := t.TempDir()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile, textFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "text")
	for path, b := range map[string][]byte{
		certFile: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		keyFile:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
		textFile: []byte("no PEM"),
	} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}

	if c, err := (&config.TLS{}).Config("kafka.tls"); c != nil || err != nil {
		t.Errorf("without TLS: %v, %v", c, err)
	}
	c, err := (&config.TLS{Enabled: true, CAFile: certFile, CertFile: certFile, KeyFile: keyFile}).Config("kafka.tls")
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Certificates) != 1 || c.RootCAs == nil {
		t.Errorf("%d certificates, authorities %v", len(c.Certificates), c.RootCAs)
	}
	if c, err := (&config.TLS{Enabled: true}).Config("kafka.tls"); err != nil || c.RootCAs != nil {
		t.Errorf("with the system's authorities: %v, %v", c, err)
	}
	for name, bad := range map[string]config.TLS{
		"kafka.tls.ca_file: open ":                      {CAFile: filepath.Join(dir, "absent")},
		"kafka.tls.ca_file: " + textFile + " holds no ": {CAFile: textFile},
		"kafka.tls.cert_file, kafka.tls.key_file: ":     {CertFile: textFile, KeyFile: keyFile},
	} {
		bad.Enabled = true
		if _, err := bad.Config("kafka.tls"); err == nil || !strings.HasPrefix(err.Error(), name) {
			t.Errorf("error is %v, want one that begins with %q", err, name)
		}
	}
}
