// Package web holds what a browser needs: the browser client and the demo page,
// in static/ and embedded in the binary.
//
//	static/godwit.js    the client, one file without dependencies, to be copied
//	static/app.js       the demo page: users and devices side by side
//	static/pane.js      one user on one device
//
// There is no build step, and the page loads nothing from elsewhere. It asks GET
// /dev/token?user= on its own origin for a token and the address of the public
// port, so it works where package admin serves it with a development key.
//
// The page is driven by tests through attributes that stay as they are. A pane is
// [data-testid=pane] with data-user, data-device, data-state (connecting,
// connected, waiting, closed) and data-behind (by how many seconds it lags behind while
// it catches up, else 0). In it are [data-testid=message] with data-state
// (queued, sending, retrying, stored, rejected, unknown, delivered, history), data-id,
// data-seq, data-cursor, data-from and data-self; [data-testid=gone] with data-code; the
// numbers [data-testid=received], [data-testid=behind], [data-testid=seq] and
// [data-testid=stored]; and the controls recipients, body, send, burst, slow, earlier,
// connection and remove. add-user, add-device and add-pane are the form for another
// pane.
//
// Handler may be called by any goroutine, and what it returns serves any number of
// requests at a time.
package web
