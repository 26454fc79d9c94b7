package ws

import (
	"testing"
)

func TestQuery(t *testing.T) {
	for _, test := range []struct {
		raw, key string
		want     string
		ok       bool
	}{
		{"user=bob", "user", "bob", true},
		{"a=1&user=bob&b=2", "user", "bob", true},
		{"user=", "user", "", true},
		{"user", "user", "", true},
		{"user=a=b", "user", "a=b", true},
		{"user=1&user=2", "user", "1", true},
		{"users=1&use=2", "user", "", false},
		{"", "user", "", false},
		{"&&", "", "", false},
		{"=x", "", "x", true},
		{"user=a%20b+c%2Bd", "user", "a b c+d", true},
		{"user=%C3%BC%f0%9f%98%80", "user", "ü😀", true},
		{"us%65r=bob", "user", "bob", true},
		{"%75%73%65%72=bob", "user", "bob", true},
		{"my+key=1", "my key", "1", true},
		{"user=%00", "user", "\x00", true},
		{"user=%", "user", "", false},
		{"user=%4", "user", "", false},
		{"user=%zz&user=bob", "user", "bob", true},
		{"us%zz=1", "us%zz", "", false},
		{"user%=1", "user", "", false},
		{"a=1;user=2", "user", "", false},
	} {
		got, ok := Query([]byte(test.raw), test.key)
		if string(got) != test.want || ok != test.ok {
			t.Errorf("Query(%q, %q) = %q, %v; want %q, %v", test.raw, test.key, got, ok, test.want, test.ok)
		}
	}
}

func TestQueryAllocatesOnlyToDecode(t *testing.T) {
	raw := []byte("t%6Fken=a.b.c&device=my%20phone")
	for _, test := range []struct {
		key  string
		want float64
	}{{"token", 0}, {"absent", 0}, {"device", 1}} {
		if n := testing.AllocsPerRun(100, func() { Query(raw, test.key) }); n != test.want {
			t.Errorf("%s: %v allocations, want %v", test.key, n, test.want)
		}
	}
}
