package ws

import (
	"net/http"
	"strconv"
)

// AppendResponse appends a complete HTTP/1.1 response that ends the connection: a
// refusal, or the answer to a plain request. Each of header is a name, which must be a
// token, and a value, whose control characters become spaces. A body is sent as plain
// text unless header names another Content-Type.
//
// Content-Length and "Connection: close" are added, and with status 426 what tells
// the client how to ask again. Responses that never have a body (204, 304) are sent
// without it.
func AppendResponse[T ~string | ~[]byte](dst []byte, status int, body T, header ...[2]string) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ')
	dst = append(dst, http.StatusText(status)...)
	dst = append(dst, "\r\n"...)
	if status == http.StatusUpgradeRequired {
		// RFC 9110, sections 7.8 and 15.5.22; RFC 6455, section 4.4.
		dst = append(dst, "Connection: close, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"...)
	} else {
		dst = append(dst, "Connection: close\r\n"...)
	}
	typed := false
	for _, f := range header {
		dst = appendField(dst, f[0], f[1])
		typed = typed || http.CanonicalHeaderKey(f[0]) == "Content-Type"
	}
	if status == http.StatusNoContent || status == http.StatusNotModified {
		return append(dst, "\r\n"...)
	}
	if !typed && len(body) > 0 {
		dst = append(dst, "Content-Type: text/plain; charset=utf-8\r\n"...)
	}
	dst = append(dst, "Content-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(body)), 10)
	dst = append(dst, headEnd...)
	return append(dst, body...)
}
