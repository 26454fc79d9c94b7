package codec

import "strconv"

// The names of parameters of a connect request.
const (
	ParamCursor   = "cursor"
	ParamStart    = "start"
	ParamOverflow = "overflow"
	// ParamMapVersion tells the version of the map by which a route or a redirect has led
	// the client here: a decimal number.
	ParamMapVersion = "map_version"
)

// The fields of a refusal with status 421, which says what a moved does.
const (
	HeaderNodeURL    = "Godwit-Node-Url"
	HeaderMapVersion = "Godwit-Map-Version"
)

// Overflow says what becomes of the deliveries that a connection has no room for.
type Overflow uint8

const (
	// OverflowAuto: the server reads them again later, in their order.
	OverflowAuto Overflow = iota
	// OverflowGap: they are dropped, and a gap tells it.
	OverflowGap
)

// String returns the value of the parameter.
func (o Overflow) String() string {
	if o == OverflowGap {
		return "gap"
	}
	return "auto"
}

// ParseOverflow returns what a value of the parameter stands for.
func ParseOverflow[T ~string | ~[]byte](value T) (Overflow, bool) {
	switch string(value) {
	case "auto":
		return OverflowAuto, true
	case "gap":
		return OverflowGap, true
	}
	return OverflowAuto, false
}

// Start says with what a connection without a cursor begins: with that many of the
// user's newest messages, at most MaxStart; 0 is with what is sent from now on.
type Start uint16

// startLast is the prefix of the values of the parameter that have a number.
const startLast = "last:"

// String returns the value of the parameter.
func (s Start) String() string {
	if s == 0 {
		return "live"
	}
	return startLast + strconv.Itoa(int(s))
}

// ParseStart returns what a value of the parameter stands for: live, or last: and a
// number from 1 to MaxStart in decimal digits, without a zero before them.
func ParseStart[T ~string | ~[]byte](value T) (Start, bool) {
	if string(value) == "live" {
		return 0, true
	}
	if len(value) <= len(startLast) || string(value[:len(startLast)]) != startLast || value[len(startLast)] == '0' {
		return 0, false
	}
	n := 0
	for i := len(startLast); i < len(value); i++ {
		c := value[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		if n = n*10 + int(c-'0'); n > MaxStart {
			return 0, false
		}
	}
	return Start(n), true
}
