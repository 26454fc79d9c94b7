package main_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/godwit-im/godwit/server/admin"
	"github.com/godwit-im/godwit/server/admin/clustertest"
)

// interrupt ends a command as Ctrl-C does, and checks that it ends well.
func interrupt(t *testing.T, cmd *exec.Cmd, stderr *lines) {
	t.Helper()
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after an interrupt: %v, %s", err, stderr)
	}
}

func TestClusterWatch(t *testing.T) {
	c, url := playCluster(t)
	cmd, stdout, stderr := run(t, "cluster", "watch", "--admin", url)
	stdout.await(t, "[11] n1 sees 3 nodes, 3 of which own the 12 partitions, and the controller n1\n")
	clusterOutput(t, url, "move", "1-2", "--to", "n2", "--yes")
	stdout.await(t, "[12] n1 decides: The move of ")
	stdout.await(t, "[12] partitions 1-2: n2 gets ready to own them\n")
	c.Silence("n3", true)
	c.Step(9)
	stdout.await(t, " n3 is suspected: the others go on without hearing it\n")
	interrupt(t, cmd, stderr)
	if text := stderr.String(); text != "" {
		t.Errorf("standard error is %q", text)
	}
}

func TestClusterWatchJSON(t *testing.T) {
	c, url := playCluster(t)
	cmd, stdout, stderr := run(t, "cluster", "watch", "--json", "--admin", url)
	stdout.await(t, "\n")
	c.Degrade(true)
	stdout.await(t, `"degraded","time"`)
	interrupt(t, cmd, stderr)
	kinds := ""
	for lines := bufio.NewScanner(strings.NewReader(stdout.String())); lines.Scan(); {
		var e admin.ClusterEvent
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatalf("%v in %s", err, lines.Bytes())
		}
		if e.Type != admin.EventAlive {
			kinds += e.Type + " "
		}
	}
	if kinds != "status degraded " {
		t.Errorf("the events are %s", kinds)
	}
}

// other is another node of a cluster.
type other struct {
	*clustertest.Cluster
	name string
}

func (o *other) Node() string { return o.name }

// TestClusterWatchGoesOn with another node when the one that is asked is gone.
func TestClusterWatchGoesOn(t *testing.T) {
	c := clustertest.New("n1", 12, "n1", "n2", "n3")
	first, one := serveAdmin(t, c)
	_, two := serveAdmin(t, &other{c, "n2"})
	c.Relocate("n1", one)
	c.Relocate("n2", two)
	cmd, stdout, stderr := run(t, "cluster", "watch", "--admin", one)
	stdout.await(t, " n1 sees 3 nodes")
	if err := first.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	stdout.await(t, " n2 sees 3 nodes")
	if want := fmt.Sprintf("godwit: %s has ended the stream; asking %s\n", one, two); stderr.String() != want {
		t.Errorf("standard error is %q, want %q", stderr, want)
	}
	c.Degrade(true)
	stdout.await(t, " this node is cut off from the log")
	interrupt(t, cmd, stderr)
}

// terminal returns both ends of a new terminal of 100 columns and 24 rows: what programs
// write to end comes out of master.
func terminal(t *testing.T) (master, end *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("this system has no /dev/ptmx")
	}
	t.Cleanup(func() { master.Close() })
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if end, err = os.OpenFile(fmt.Sprint("/dev/pts/", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end.Close() })
	if err := unix.IoctlSetWinsize(int(end.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: 100, Row: 24}); err != nil {
		t.Fatal(err)
	}
	return master, end
}

// TestClusterWatchOnATerminal shows a table that stays in place, on a screen of its own.
func TestClusterWatchOnATerminal(t *testing.T) {
	c, url := playCluster(t)
	master, end := terminal(t)
	screen := &lines{more: make(chan struct{}, 1)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(screen, master) // it ends with an error, when the other end is closed
	}()
	cmd := exec.CommandContext(t.Context(), binary, "cluster", "watch", "--admin", url)
	cmd.Stdout = end
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	screen.await(t, "NODE  STATE   PARTITIONS  CONNECTIONS")
	clusterOutput(t, url, "drain", "n3", "--yes")
	screen.await(t, " n3 is draining (operator)\x1b[K\r\n")
	screen.await(t, "n3    draining  ")
	c.Silence("n2", true)
	c.Step(8)
	screen.await(t, "SUSPECTED: ")
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if err := end.Close(); err != nil {
		t.Error(err)
	}
	<-read
	text := screen.String()
	if !strings.HasPrefix(text, "\x1b[?1049h") || !strings.HasSuffix(text, "\x1b[?1049l") {
		t.Errorf("the terminal is not left as it was: %q...%q", text[:20], text[len(text)-20:])
	}
	for frame := range strings.SplitSeq(text, "\x1b[H") {
		rows := strings.Split(frame, "\r\n")
		if len(rows) > 24 {
			t.Errorf("a picture has %d rows", len(rows))
		}
		for _, row := range rows {
			if row = strings.TrimSuffix(row, "\x1b[K"); len(row) > 100 && !strings.HasPrefix(row, "\x1b") {
				t.Errorf("a row has %d columns: %q", len(row), row)
			}
		}
	}
}
