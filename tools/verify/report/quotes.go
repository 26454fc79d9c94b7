package report

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/godwit-im/godwit/tools/verify/check"
)

// Quotes are lines of a history file by their numbers, without their ends. Of a long
// line it is the beginning, and an ellipsis.
type Quotes map[int64]string

// Quote reads the lines of a history file that the findings give as evidence. It holds no
// line longer than it quotes. The error is that of r; a line that the file does not have
// is left out.
func Quote(r io.Reader, findings []check.Finding) (Quotes, error) {
	var last int64
	wanted := make(map[int64]bool)
	for _, f := range findings {
		for _, e := range f.Evidence {
			for _, n := range e.Lines {
				wanted[n] = true
				last = max(last, n)
			}
		}
	}
	quotes := make(Quotes, len(wanted))
	lines := bufio.NewReaderSize(r, 64<<10)
	for n := int64(1); n <= last; n++ {
		begin, err := beginning(lines)
		if wanted[n] && len(begin) > 0 {
			quotes[n] = quoted(begin)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("report: line %d: %w", n, err)
		}
	}
	return quotes, nil
}

// beginning reads a line and returns as much of it as the buffer takes, with its end if that
// is among it. It is good until the next read.
func beginning(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, err
	}
	begin := append([]byte(nil), line[:maxQuote+1]...) // one more than is quoted
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = r.ReadSlice('\n')
	}
	return begin, err
}

// quoted returns what is quoted of a line.
func quoted(line []byte) string {
	text := strings.TrimSuffix(string(line[:min(len(line), maxQuote+1)]), "\n")
	if len(text) <= maxQuote {
		return strings.ToValidUTF8(text, "\uFFFD")
	}
	end := maxQuote
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return strings.ToValidUTF8(text[:end], "\uFFFD") + "…"
}
