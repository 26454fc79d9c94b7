package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/godwit-im/godwit/bench/peers/control"
)

// config is what every peer is told.
type config struct {
	addr  string // where to listen, host:port
	loops int    // event loops or pollers, for those that have them
}

// peers has what starts each peer.
var peers = map[string]func(config) (control.Peer, error){
	"centrifuge": startCentrifuge,
	"gnet-bare":  startGnetBare,
	"gorilla":    startGorilla,
	"greatws":    startGreatws,
	"gws":        startGws,
	"kafka-loop": startKafkaLoop,
	"nbio":       startNbio,
	"write-loop": startWriteLoop,
}

func main() {
	out, err := ownOutput()
	if err == nil {
		err = run(os.Args[1:], os.Stdin, out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

// ownOutput returns the standard output, and lets everyone else's writes to it go to
// the standard error: some libraries log there, and the driver reads answers.
func ownOutput() (*os.File, error) {
	fd, err := unix.FcntlInt(1, unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	if err := unix.Dup3(2, 1, 0); err != nil {
		return nil, os.NewSyscallError("dup3", err)
	}
	return os.NewFile(uintptr(fd), "answers"), nil
}

func run(args []string, in io.Reader, out io.Writer) (err error) {
	if len(args) == 0 {
		return errors.New("usage: peers <name> [flags]; the names are " + strings.Join(slices.Sorted(maps.Keys(peers)), ", "))
	}
	if args[0] == echoClientName {
		return echoClient(args[1:], in, out)
	}
	start, ok := peers[args[0]]
	if !ok {
		return fmt.Errorf("no peer is named %q", args[0])
	}
	var cfg config
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	flags.StringVar(&cfg.addr, "addr", "127.0.0.1:0", "where to listen, `host:port`")
	flags.IntVar(&cfg.loops, "loops", 0, "event loops; 0 for one on each core that Go uses")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("what is %q?", flags.Arg(0))
	}
	if cfg.loops <= 0 {
		cfg.loops = runtime.GOMAXPROCS(0)
	}
	peer, err := start(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, peer.Close()) }()
	return control.Serve(peer, in, out)
}
