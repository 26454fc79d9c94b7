package spread

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Shape is a way in which user ids are made.
type Shape string

// The shapes. Each is shown with its id number 42.
const (
	Decimal  Shape = "decimal"  // 42
	Padded   Shape = "padded"   // 000000000042
	Prefixed Shape = "prefixed" // user-42
	Email    Shape = "email"    // ivo.kim42@mail.example
	UUID     Shape = "uuid"     // a random UUID, the same each time
)

// Shapes returns all shapes.
func Shapes() []Shape { return []Shape{Decimal, Padded, Prefixed, Email, UUID} }

// ParseShape returns the shape with a name.
func ParseShape(name string) (Shape, error) {
	if s := Shape(name); slices.Contains(Shapes(), s) {
		return s, nil
	}
	names := make([]string, 0, len(Shapes()))
	for _, s := range Shapes() {
		names = append(names, string(s))
	}
	return "", fmt.Errorf("spread: %q is not a shape of ids; use one of %s", name, strings.Join(names, ", "))
}

var (
	givenNames  = [...]string{"ada", "bo", "chen", "dilan", "emre", "fatima", "goran", "hana", "ivo", "jun", "kofi", "lea", "mira", "nora", "omar", "priya"}
	familyNames = [...]string{"abe", "berg", "costa", "diaz", "eze", "fischer", "garcia", "haddad", "ito", "jansen", "kim", "lopez", "mensah", "nowak", "okafor", "silva"}
)

// AppendID appends id number i of the shape. Different numbers give different ids,
// and the same number always the same. A name that is no shape gives decimal ids.
func (s Shape) AppendID(dst []byte, i uint64) []byte {
	switch s {
	case Padded:
		for limit := uint64(1e11); limit > 1 && i < limit; limit /= 10 {
			dst = append(dst, '0')
		}
	case Prefixed:
		dst = append(dst, "user-"...)
	case Email:
		mix := splitmix64(i)
		dst = append(dst, givenNames[mix%16]...)
		dst = append(dst, '.')
		dst = append(dst, familyNames[mix/16%16]...)
		dst = strconv.AppendUint(dst, i, 10)
		return append(dst, "@mail.example"...)
	case UUID:
		return appendUUID(dst, i)
	}
	return strconv.AppendUint(dst, i, 10)
}

// appendUUID appends a UUID of version 4 (RFC 9562, section 5.4) made of i.
func appendUUID(dst []byte, i uint64) []byte {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], splitmix64(2*i))
	binary.BigEndian.PutUint64(b[8:], splitmix64(2*i+1))
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	for n, part := range [...][]byte{b[:4], b[4:6], b[6:8], b[8:10], b[10:]} {
		if n > 0 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, part)
	}
	return dst
}

// splitmix64 returns output number i of the generator of that name (Steele, Lea and
// Flood, "Fast splittable pseudorandom number generators", 2014).
func splitmix64(i uint64) uint64 {
	z := (i + 1) * 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
