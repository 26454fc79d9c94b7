package processtest

import (
	"encoding/json"
	"strings"
)

// LogLine is what tests look at in a line of a node's log, with --log-format json.
type LogLine struct {
	Level   string `json:"level"`
	Message string `json:"msg"`
	URL     string `json:"url"`   // of the line "serving": where clients connect
	Admin   string `json:"admin"` // and the address of the admin port
}

// Logged returns the first line with a message in the log of a node, if there is one.
func (p *Process) Logged(message string) (line LogLine, ok bool) {
	for text := range strings.Lines(p.Stderr.String()) {
		var l LogLine
		if json.Unmarshal([]byte(text), &l) == nil && l.Message == message {
			return l, true
		}
	}
	return LogLine{}, false
}
