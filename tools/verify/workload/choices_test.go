package workload

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/godwit-im/godwit/tools/verify/wire"
)

func people(users int, seed uint64) *population {
	return newPopulation(&Options{Users: users, Seed: seed, Prefix: "t-"})
}

// choices makes everything that a load chooses.
func choices(seed uint64) (all []any) {
	p := people(50, seed)
	all = append(all, p.characters(2))
	for user := range 5 {
		h := habit{rand: p.rand("deeds", user, 1), users: 50, popular: user == 0}
		w := writer{people: p, user: user, rand: p.rand("drafts", user, 1)}
		for range 50 {
			all = append(all, h.next(), *w.next(1 << 16))
		}
	}
	return all
}

func TestChoicesComeFromTheSeed(t *testing.T) {
	if !reflect.DeepEqual(choices(1), choices(1)) {
		t.Error("two loads of one seed differ")
	}
	if a, b := choices(1), choices(2); reflect.DeepEqual(a[0], b[0]) || reflect.DeepEqual(a[1:], b[1:]) {
		t.Error("two loads of different seeds are alike")
	}
	p := people(50, 1)
	if p.rand("deeds", 1, 2).Uint64() == p.rand("deeds", 12).Uint64() || p.rand("deeds", 1).Uint64() == p.rand("drafts", 1).Uint64() {
		t.Error("two purposes have one source")
	}
}

// TestDrafts looks at what devices want to send.
func TestDrafts(t *testing.T) {
	const most = 1 << 15
	p := people(40, 5)
	texts := map[bool]int{} // bodies, by whether they are UTF-8
	for _, c := range []character{{wire: true, format: wire.JSON}, {wire: true, format: wire.Proto}, {format: wire.JSON}} {
		w := writer{people: p, user: 3, device: c, rand: p.rand("drafts", 3)}
		faults := map[string]int{}
		for n := range 4000 {
			d := w.next(most)
			slices.Sort(d.users)
			if len(slices.Compact(d.users)) != len(d.users) || slices.Contains(d.users, 3) || len(d.users) == 0 || len(d.users) > maxRecipients {
				t.Fatalf("message %d is for %v", n, d.users)
			}
			if d.faulty {
				faults[faultOf(p, d, most)]++
				continue
			}
			texts[utf8.Valid(d.body)]++
			if faultOf(p, d, most) != "" {
				t.Fatalf("message %d is not meant to be faulty: %+v", n, d)
			}
		}
		want := []string{"self"}
		if c.wire {
			want = append(want, "twice", "many", "recipient", "ttl", "body")
		}
		if c.format == wire.JSON && c.wire {
			want = append(want, "kind")
		}
		for _, f := range want {
			if faults[f] == 0 {
				t.Errorf("%+v has no message with the fault %q: %v", c, f, faults)
			}
		}
		if len(faults) != len(want) {
			t.Errorf("%+v has the faults %v", c, faults)
		}
	}
	if texts[true] == 0 || texts[false] == 0 {
		t.Errorf("bodies are text or not: %v", texts)
	}
}

// faultOf names what the protocol does not allow in a message of user 3.
func faultOf(p *population, d *draft, most int) string {
	seen := make(map[string]bool)
	for _, to := range d.to {
		switch {
		case to == p.names[3]:
			return "self"
		case len(to) > 128:
			return "recipient"
		case seen[to]:
			return "twice"
		}
		seen[to] = true
	}
	switch {
	case len(d.to) > 64:
		return "many"
	case d.ttl > 365*24*time.Hour:
		return "ttl"
	case len(d.body) > most:
		return "body"
	case d.kind != "" && d.kind != wire.KindSignal:
		return "kind"
	}
	return ""
}

// TestTwins has different users send the same under the same id, which only their names
// tell apart.
func TestTwins(t *testing.T) {
	p := people(40, 5)
	drafts := func(user int) (all []*draft) {
		w := writer{people: p, user: user, rand: p.rand("drafts", user)}
		for range 400 {
			all = append(all, w.next(1<<16))
		}
		return all
	}
	a, b := drafts(20), drafts(30)
	twins, alike := 0, 0
	for i := range a {
		if a[i].id != b[i].id {
			t.Fatalf("the ids are %q and %q", a[i].id, b[i].id)
		}
		if a[i].faulty || b[i].faulty || !slices.Equal(a[i].to, b[i].to) || string(a[i].body) != string(b[i].body) || a[i].kind != b[i].kind {
			continue
		}
		if (i+1)%twinEvery == 0 {
			twins++
		} else {
			alike++
		}
	}
	if twins < 70 || alike > 25 { // some senders are among the recipients; some messages are small, and go to the popular
		t.Errorf("of 100 twins %d are alike, and %d of the others", twins, alike)
	}
}

// TestPopulation looks at who talks to whom.
func TestPopulation(t *testing.T) {
	p := people(200, 1)
	r := rand.New(rand.NewPCG(1, 2))
	counts := make([]int, 200)
	for range 20_000 {
		counts[p.recipient(r, r.IntN(200))]++
	}
	for u, n := range counts {
		switch {
		case u < p.popular && n < 500:
			t.Errorf("%d messages are for the popular user %d", n, u)
		case p.isQuiet(u) && (n == 0 || n > 30):
			t.Errorf("%d messages are for the quiet user %d", n, u)
		case u >= p.popular && !p.isQuiet(u) && (n < 20 || n > 400):
			t.Errorf("%d messages are for user %d", n, u)
		}
	}
	for _, users := range []int{2, 3, 9, 10} {
		p := people(users, 1)
		for range 1000 {
			if to := p.recipients(r, 1, 1, 8); len(to) != min(8, users-1) || slices.Contains(to, 1) {
				t.Fatalf("of %d users %v are chosen", users, to)
			}
		}
	}
	for _, name := range p.names {
		if !strings.HasPrefix(name, "t-u") {
			t.Errorf("a user is called %q", name)
		}
	}
}

// TestCharacters has half of the devices be of each client, and those of every kind.
func TestCharacters(t *testing.T) {
	all := people(200, 9).characters(2)
	count := func(is func(character) bool) (n int) {
		for _, c := range all {
			if is(c) {
				n++
			}
		}
		return n
	}
	if n := count(func(c character) bool { return c.wire }); n < 200 || n > 203 {
		t.Errorf("%d of %d are plain", n, len(all))
	}
	for name, is := range map[string]func(character) bool{
		"plain, JSON":       func(c character) bool { return c.wire && c.format == wire.JSON },
		"plain, protobuf":   func(c character) bool { return c.wire && c.format == wire.Proto },
		"program, JSON":     func(c character) bool { return !c.wire && c.format == wire.JSON },
		"program, protobuf": func(c character) bool { return !c.wire && c.format == wire.Proto },
		"gaps":              func(c character) bool { return c.gaps },
		"page":              func(c character) bool { return c.origin },
		"fragments":         func(c character) bool { return c.fragments > 1 },
		"short":             func(c character) bool { return c.short && !c.careless },
		"careless":          func(c character) bool { return c.careless },
	} {
		if n := count(is); n < 10 || n > 300 {
			t.Errorf("%d of %d are %s", n, len(all), name)
		}
	}
	if n := count(func(c character) bool { return !c.wire && (c.gaps || c.origin) || c.careless && !c.short }); n > 0 {
		t.Errorf("%d are what they cannot be", n)
	}
}

// TestHabit has deeds of every kind come, within their bounds.
func TestHabit(t *testing.T) {
	p := people(10, 1)
	for _, popular := range []bool{false, true} {
		h := habit{rand: p.rand("deeds", 1), users: 10, popular: popular}
		seen := make(map[misdeed]int)
		for range 2000 {
			d := h.next()
			seen[d.what]++
			if d.after < time.Second || d.after > 13*time.Second || d.lasts > 56*time.Second || d.pace < 500 || d.steps < 1 || d.steps > remembered ||
				d.newest < 0 || d.newest > 100 || d.browse.limit > pageSize || d.browse.peer < -1 || d.browse.peer >= 10 {
				t.Fatalf("a deed is out of bounds: %+v", d)
			}
		}
		for what := dawdle; what <= browse; what++ {
			if seen[what] < 20 {
				t.Errorf("deed %d comes %d times of 2000", what, seen[what])
			}
		}
		if popular && seen[ignore] < 800 {
			t.Errorf("a popular user does not read %d times of 2000", seen[ignore])
		}
	}
}

func TestOptions(t *testing.T) {
	good := Options{Users: 2, Devices: 1, Rate: 1, URLs: func() []string { return nil }, Token: func(string, time.Duration) string { return "" }, Write: discard}
	if l, err := New(good); err != nil {
		t.Error(err)
	} else {
		l.Close()
	}
	for name, change := range map[string]func(*Options){
		"Users":   func(o *Options) { o.Users = 1 },
		"Devices": func(o *Options) { o.Devices = maxDevices + 1 },
		"Rate":    func(o *Options) { o.Rate = 0 },
		"Prefix":  func(o *Options) { o.Prefix = strings.Repeat("x", maxPrefix+1) },
		"URLs":    func(o *Options) { o.URLs = nil },
		"Token":   func(o *Options) { o.Token = nil },
		"Write":   func(o *Options) { o.Write = nil },
	} {
		o := good
		change(&o)
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
