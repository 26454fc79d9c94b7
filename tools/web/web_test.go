package web_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/tools/web"
)

func TestMain(m *testing.M) {
	code := m.Run()
	stopBrowser()
	http.DefaultClient.CloseIdleConnections()
	if err := goleak.Find(); code == 0 && err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		code = 1
	}
	os.Exit(code)
}

func get(t *testing.T, path string) (*http.Response, string) {
	t.Helper()
	w := httptest.NewRecorder()
	web.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	r := w.Result()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r, string(b)
}

func TestFiles(t *testing.T) {
	for path, kind := range map[string]string{
		"/": "text/html", "/godwit.js": "text/javascript", "/app.js": "text/javascript", "/pane.js": "text/javascript",
		"/style.css": "text/css", "/icon.svg": "image/svg+xml",
	} {
		r, body := get(t, path)
		if r.StatusCode != http.StatusOK || !strings.HasPrefix(r.Header.Get("Content-Type"), kind) || body == "" {
			t.Errorf("GET %s: %s, %s, %d bytes", path, r.Status, r.Header.Get("Content-Type"), len(body))
		}
		if !strings.HasPrefix(r.Header.Get("Content-Security-Policy"), "default-src 'none'; script-src 'self';") {
			t.Errorf("GET %s: the policy is %q", path, r.Header.Get("Content-Security-Policy"))
		}
	}
	if r, _ := get(t, "/web.go"); r.StatusCode != http.StatusNotFound {
		t.Errorf("GET /web.go: %s", r.Status)
	}
}

// The page must work without a network: nothing in it may come from elsewhere.
func TestPageLoadsNothingFromElsewhere(t *testing.T) {
	for _, path := range []string{"/", "/style.css", "/app.js", "/pane.js"} {
		if _, body := get(t, path); regexp.MustCompile(`(src|href|url|import|from)\W{1,4}(https?:)?//`).MatchString(body) {
			t.Errorf("%s refers to another site", path)
		}
	}
}

// The client knows which codes may be retried, and so must change with them.
func TestRetryableCodes(t *testing.T) {
	_, source := get(t, "/godwit.js")
	set := regexp.MustCompile(`(?s)RETRYABLE = new Set\(\[(.*?)\]\)`).FindStringSubmatch(source)
	if set == nil {
		t.Fatal("there is no RETRYABLE in godwit.js")
	}
	var got, want []string
	for _, m := range regexp.MustCompile(`"(\w+)"`).FindAllStringSubmatch(set[1], -1) {
		got = append(got, m[1])
	}
	for _, c := range codec.Codes() {
		if c.Retryable {
			want = append(want, string(c.Code))
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("godwit.js retries %v, the codec says %v", got, want)
	}
}
