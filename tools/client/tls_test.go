package client

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/codec"
)

// Over TLS and TCP: the certificate is checked, also when the route is asked for; reading
// goes on after its deadline has passed in the midst of a connection.
func TestTLS(t *testing.T) {
	peers := make(chan *peer)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == pathRoute {
			fmt.Fprintf(w, `{"url":"wss://%s/other"}`, r.Host)
			return
		}
		nc, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		p := &peer{t: t, Conn: nc, in: rw.Reader, request: r}
		p.upgrade()
		peers <- p
	}))
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())

	arrived := make(chan string, 1)
	n := newNode(t)
	u := start(t, n, func(o *Options) {
		o.URLs = []string{strings.Replace(server.URL, "https", "wss", 1)}
		o.TLS = &tls.Config{RootCAs: roots}
		o.Dial = nil
		o.OnMessage = func(m Message) { arrived <- string(m.Body) }
	})
	p := <-peers
	p.welcome(codec.Welcome{Heartbeat: 10 * time.Millisecond})
	for range 3 {
		if f := p.read(); f.Type != codec.FramePing {
			t.Fatalf("a %s came", f.Type)
		}
		p.write(codec.AppendPong(nil, p.enc))
	}
	p.deliver(1, "hello")
	if body := <-arrived; body != "hello" {
		t.Errorf("the message is %q", body)
	}
	p.closeWith(codec.CloseNotOwner)
	p = <-peers
	if p.request.URL.Path != "/other" {
		t.Errorf("the client went to %s", p.request.URL)
	}
	p.welcome(codec.Welcome{})
	p.deliver(1, "again")
	<-arrived
	u.stop()
	p.goodbye()
	if err := <-u.ran; err != nil {
		t.Error(err)
	}
}

func TestTLSOfAStranger(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	refused := make(chan error, 16)
	u := start(t, newNode(t), func(o *Options) {
		o.URLs = []string{strings.Replace(server.URL, "https", "wss", 1)}
		o.Dial = nil
		o.OnState = func(s State) {
			if s.Err != nil {
				select {
				case refused <- s.Err:
				default:
				}
			}
		}
	})
	if err := <-refused; !strings.Contains(err.Error(), "certificate") {
		t.Errorf("the error is %v", err)
	}
	u.stop()
	<-u.ran
}
