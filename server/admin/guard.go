package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
)

// guard decides who may ask. There are two cases.
//
// With a token, a request must carry it. No web page of another site knows it, and
// browsers do not add it by themselves.
//
// Without one the port is on a loopback address, and everyone on this machine may
// use it. But a browser on this machine also runs the pages of strangers, who can
// try two things:
//
//   - DNS rebinding: evil.example is served from a stranger's address first and
//     then resolves to 127.0.0.1. To the browser both are the same site, so the page
//     may read answers, of /dev/token for one. Its requests say "Host: evil.example",
//     so only names of loopback are accepted there.
//   - A request across sites: the page posts a form, or loads a script, from
//     http://127.0.0.1:8081. It cannot read the answer, but a message would be sent
//     all the same. Browsers say where a request comes from in Sec-Fetch-Site, older
//     ones in Origin, and what comes from elsewhere is refused: see sameOrigin.
//
// Programs that are no browsers send neither header and name the host they connect
// to, so they notice nothing.
func (s *Server) guard(next http.Handler) http.Handler {
	if s.config.Token == "" {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !loopbackHost(r.Host) {
				refuse(w, http.StatusForbidden, codec.CodeForbidden, "this port is asked for by the name localhost or by a loopback address")
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	// Comparing sums takes the same time whatever the length of what came.
	want := sha256.Sum256([]byte(s.config.Token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		got := sha256.Sum256([]byte(strings.TrimSpace(token)))
		if !strings.EqualFold(scheme, "bearer") || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			w.Header().Set("WWW-Authenticate", "Bearer")
			refuse(w, http.StatusUnauthorized, codec.CodeUnauthorized, "the admin port's token is missing or wrong: send it as Authorization: Bearer")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// open is guard for what tells nothing worth a secret and is asked by programs that
// often cannot carry one: probes and scrapers. On a port without a token they are
// guarded like everything else.
func (s *Server) open(next http.Handler) http.Handler {
	if s.config.Token == "" {
		return s.guard(next)
	}
	return next
}

// sameOrigin refuses requests that a browser makes for a page of another site.
func sameOrigin(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		site, origin := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Origin")
		switch {
		case site != "" && site != "same-origin" && site != "none", // none: typed by the user
			origin != "" && origin != "http://"+r.Host && origin != "https://"+r.Host:
			refuse(w, http.StatusForbidden, codec.CodeForbidden, "this is not for pages of other sites")
			return
		}
		next(w, r)
	}
}

// loopbackHost reports whether a Host header names this machine for itself.
func loopbackHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.Unmap().IsLoopback()
}

// refuse answers a request that is not even looked at, with an error frame.
func refuse(w http.ResponseWriter, status int, code backplane.Code, message string) {
	body := codec.AppendError(nil, codec.JSON, &codec.ErrorFrame{Code: code, Message: message})
	writeJSON(w, status, body)
}

// writeJSON answers with a JSON value. The client may be gone; then there is nobody
// to tell.
func writeJSON(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	w.Write(append(body, '\n'))
}
