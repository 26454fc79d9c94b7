package admin

import (
	"net/http"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/godwit-im/godwit/codec"
)

// Token is the answer of GET /dev/token.
type Token struct {
	Token string `json:"token"`
	URL   string `json:"url"` // of the public port: ws or wss
}

// token signs a token for the user that the query names, good for its ttl: a
// duration such as 10m or 24h.
func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	ttl := defaultTokenTTL
	if text := query.Get("ttl"); text != "" {
		var err error
		if ttl, err = time.ParseDuration(text); err != nil || ttl < time.Second || ttl > maxTokenTTL {
			refuse(w, http.StatusBadRequest, codec.CodeBadParameter, "ttl: a duration such as 10m or 24h, from 1s to "+maxTokenTTL.String())
			return
		}
	}
	token, err := s.config.Sign(query.Get("user"), ttl)
	if err != nil {
		refuse(w, http.StatusBadRequest, codec.CodeBadParameter, err.Error())
		return
	}
	body, err := json.Marshal(Token{Token: token, URL: s.config.PublicURL()})
	if err != nil {
		refuse(w, http.StatusInternalServerError, codec.CodeInternal, err.Error())
		return
	}
	writeJSON(w, http.StatusOK, body)
}
