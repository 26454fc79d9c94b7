package run

import (
	"cmp"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/godwit-im/godwit/tools/process"
	"github.com/godwit-im/godwit/tools/verify/check"
	"github.com/godwit-im/godwit/tools/verify/event"
	"github.com/godwit-im/godwit/tools/verify/report"
)

// tell has the history judged, and writes and returns the report.
func (r *run) tell(ctx context.Context) (*report.Report, error) {
	r.progress.say("judging the history")
	rep := &report.Report{Outcome: check.Unknown, Settings: r.settings.list(), Versions: r.versions(ctx)}
	if err := r.judge(ctx, rep); err != nil {
		return nil, errors.Join(err, r.keepLogs())
	}
	rep.Notes = append(r.problems, r.notes...)
	if rep.Outcome == check.Passed && len(r.problems) > 0 {
		rep.Outcome = check.Unknown
	}
	rep.Files = []report.File{
		{Path: r.out(EventsFile), What: "the history of the run"},
		{Path: r.out(HTMLFile), What: "the report, for people"},
		{Path: r.out(JSONFile), What: "the report, for programs"},
	}
	if r.folder != "" && (r.settings.Keep || rep.Outcome != check.Passed) {
		if err := r.keepLogs(); err != nil {
			return nil, err
		}
		rep.Files = append(rep.Files, report.File{Path: r.out(LogsFolder), What: "the logs of all processes"})
	}
	return rep, r.write(rep)
}

// judge reads the history file three times: for the checks, for the story, and for the lines
// that are evidence. The error means that there is no report, as where ctx has ended.
func (r *run) judge(ctx context.Context, rep *report.Report) error {
	file, err := os.Open(r.out(EventsFile))
	if err != nil {
		return fmt.Errorf("run: %w", err)
	}
	defer file.Close()
	again := func() error {
		_, err := file.Seek(0, 0)
		return err
	}
	options := r.settings.checks(r.cluster)
	rep.Without = options.Without
	rep.Check, err = check.Run(until(ctx, event.Records(file)), options)
	if ctx.Err() != nil {
		return fmt.Errorf("run: it was given up: %w", ctx.Err())
	}
	r.problem("the history cannot be judged", err)
	if rep.Check != nil {
		rep.Outcome = rep.Check.Outcome
	}
	if err := again(); err != nil {
		return fmt.Errorf("run: %w", err)
	}
	rep.Story, err = report.Collect(until(ctx, event.Records(file)))
	if ctx.Err() != nil {
		return fmt.Errorf("run: it was given up: %w", ctx.Err())
	}
	r.problem("the history cannot be told", err)
	if rep.Check == nil {
		return nil
	}
	if err := again(); err != nil {
		return fmt.Errorf("run: %w", err)
	}
	if rep.Quotes, err = report.Quote(file, rep.Check.Findings); err != nil {
		return fmt.Errorf("run: %w", err)
	}
	return nil
}

// until returns the records up to the end of ctx, the error of which is the last.
func until(ctx context.Context, records iter.Seq2[event.Record, error]) iter.Seq2[event.Record, error] {
	return func(yield func(event.Record, error) bool) {
		for rec, err := range records {
			if ctx.Err() != nil {
				rec, err = event.Record{}, ctx.Err()
			}
			if !yield(rec, err) || err != nil {
				return
			}
		}
	}
}

// write writes the report's files.
func (r *run) write(rep *report.Report) error {
	text, err := rep.MarshalJSON()
	if err != nil {
		return fmt.Errorf("run: %w", err)
	}
	if err := os.WriteFile(r.out(JSONFile), append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("run: %w", err)
	}
	page, err := os.Create(r.out(HTMLFile))
	if err != nil {
		return fmt.Errorf("run: %w", err)
	}
	if err := errors.Join(rep.WriteHTML(page), page.Close()); err != nil {
		return fmt.Errorf("run: %w", err)
	}
	return nil
}

// enoughShare is which part of the messages that a load was to send must be acknowledged for
// the run to say something: faults may stop it for most of the time. Fewer than leastAcks say
// nothing, however few were to be sent.
const (
	enoughShare = 4
	leastAcks   = 50
)

// checks returns what the history has to hold.
func (s *Settings) checks(c cluster) check.Options {
	o := check.DefaultOptions()
	o.MinAcks = min(o.MinAcks, max(leastAcks, int64(s.Rate*s.Duration.Seconds()/enoughShare)))
	o.Converge = s.Converge
	if !s.faulty() {
		o.MinFaults = 0
	}
	o.Without = c.without()
	if !s.history() {
		o.Without = append(o.Without, "stored_in_history")
	}
	return o
}

// list returns the settings for the report.
func (s *Settings) list() (list []report.Setting) {
	add := func(name string, value any) {
		list = append(list, report.Setting{Name: name, Value: fmt.Sprint(value)})
	}
	add("users", s.Users)
	add("devices of each", s.Devices)
	add("messages a second", s.Rate)
	add("duration of the load", s.Duration)
	add("time to converge", s.Converge)
	if l := s.Local; l != nil {
		add("nodes", l.Nodes)
		add("nodes of Kafka", l.Brokers)
		add("partitions", partitions)
		add("history", l.History)
		var faults []string
		for _, k := range l.Faults {
			faults = append(faults, string(k))
		}
		add("faults", cmp.Or(strings.Join(faults, ", "), "none"))
	}
	if other := s.Remote; other != nil {
		add("cluster", strings.Join(other.URLs, ", "))
		add("history", map[bool]string{true: "kept", false: "not kept"}[other.History])
		if k := other.Kafka; k == nil {
			add("Kafka", "not read")
		} else {
			add("Kafka", strings.Join(k.Brokers, ", "))
			add("namespace", k.Namespace)
			add("generation", k.Generation)
		}
	}
	return list
}

// versionTimeout bounds the question to a binary which version it is.
const versionTimeout = 30 * time.Second

// versions says what runs and on what. What is not known is told as that.
func (r *run) versions(ctx context.Context) report.Versions {
	v := report.Machine()
	v.Godwit, v.Kafka = "not known", "not known"
	l := r.settings.Local
	if l == nil {
		return v
	}
	ctx, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, l.Binary, "version")
	cmd.Env = process.Environment()
	if out, err := cmd.Output(); err == nil {
		v.Godwit = strings.TrimSpace(string(out))
	}
	v.Kafka = jarVersion(filepath.Join(l.Root, "tools/kafka/pom.xml"))
	switch l.History {
	case Cassandra:
		v.Store = "Cassandra " + jarVersion(filepath.Join(l.Root, "tools/cassandra/pom.xml"))
	case Pebble:
		v.Store = "Pebble, in the node"
	}
	return v
}

// jarVersion returns the version of the first thing that a pom.xml depends on.
func jarVersion(path string) string {
	var pom struct {
		Version string `xml:"dependencies>dependency>version"`
	}
	text, err := os.ReadFile(path)
	if err == nil {
		err = xml.Unmarshal(text, &pom)
	}
	if err != nil || pom.Version == "" {
		return "not known"
	}
	return pom.Version
}
