package web

import (
	"embed"
	"io/fs"
	"net/http"
)

//go:embed static
var static embed.FS

// policy lets the page load its own files and connect to nodes, and nothing else. A
// node is at another port or, after a move, another host, so any may be connected to.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
	"connect-src 'self' ws: wss: http: https:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Handler serves the demo page at / and the client at /godwit.js.
func Handler() http.Handler {
	pages, err := fs.Sub(static, "static")
	if err != nil {
		panic(err) // the folder is embedded
	}
	files := http.FileServerFS(pages)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache") // a newer binary has newer files
		files.ServeHTTP(w, r)
	})
}
