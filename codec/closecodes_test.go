package codec

import "testing"

func TestCloseCodesTable(t *testing.T) {
	known := map[CloseCode]bool{}
	for _, c := range closeCodes {
		if known[c.Code] {
			t.Errorf("close code %d is listed twice", c.Code)
		}
		known[c.Code] = true
	}
	for _, c := range Codes() {
		if got := CloseFor(c.Code); !known[got] {
			t.Errorf("CloseFor(%q) = %d, which closeCodes does not list", c.Code, got)
		}
	}
}
