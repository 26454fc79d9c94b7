package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/bench/peers/control"
)

// kafkaCommand returns the command for a run on the topic of cfg.
func kafkaCommand(t *testing.T, cfg kafka.Config, more map[string]any) string {
	t.Helper()
	c := map[string]any{
		"cmd":        "kafka",
		"brokers":    cfg.Brokers,
		"topic":      cfg.Topic(),
		"partitions": cfg.Partitions,
		"size":       200,
		"seconds":    0.5,
	}
	for k, v := range more {
		c[k] = v
	}
	b, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func checkResult(t *testing.T, r control.KafkaResult, recordsPerMessage int64) {
	t.Helper()
	if r.Messages < 1 || r.Records != r.Messages*recordsPerMessage || r.PerSecond <= 0 || r.CPUOfKafka <= 0 ||
		r.P50 <= 0 || r.P99 < r.P50 || r.AckP50 <= 0 || r.AckP99 < r.AckP50 {
		t.Errorf("no result of %d records a message: %+v", recordsPerMessage, r)
	}
}

func TestKafkaLoop(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		cfg := b.Config(t, 16)
		p := start(t, "kafka-loop")
		if p.ready.Addr != "" {
			t.Errorf("it listens at %s", p.ready.Addr)
		}

		// As many as go, a window at a time.
		var saturated control.KafkaResult
		p.do(kafkaCommand(t, cfg, map[string]any{"window": 500}), &saturated)
		checkResult(t, saturated, 1)
		if saturated.CPUOfEcho != 0 || saturated.CPU != saturated.CPUOfKafka {
			t.Errorf("echoes that nobody asked for: %+v", saturated)
		}
		if saturated.Messages < 500 {
			t.Errorf("%d messages: not even a window", saturated.Messages)
		}

		// The same with a copy for the sender, and echoes.
		var echoed control.KafkaResult
		p.do(kafkaCommand(t, cfg, map[string]any{"records_per_message": 2, "window": 100, "echo": true, "echo_conns": 8}), &echoed)
		checkResult(t, echoed, 2)
		if echoed.CPUOfEcho <= 0 || echoed.CPU != echoed.CPUOfKafka+echoed.CPUOfEcho {
			t.Errorf("the echoes are not in the sum: %+v", echoed)
		}

		// At a rate there are exactly as many messages as were due.
		var paced control.KafkaResult
		p.do(kafkaCommand(t, cfg, map[string]any{"rate": 400, "records_per_message": 2, "echo": true, "echo_conns": 3}), &paced)
		checkResult(t, paced, 2)
		if paced.Messages != 200 {
			t.Errorf("%d messages in half a second at 400 a second", paced.Messages)
		}
		p.quit()
	})
}

// TestKafkaLoopMakesItsTopic runs on a topic that is not there, then on one with
// other records in it.
func TestKafkaLoopMakesItsTopic(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		cfg := b.Config(t, 4)
		topic := cfg.Topic() + ".floor"
		p := start(t, "kafka-loop")
		command := kafkaCommand(t, cfg, map[string]any{"topic": topic, "rate": 100})
		var r control.KafkaResult
		p.do(command, &r)
		checkResult(t, r, 1)

		// What lies in the topic already does not disturb.
		p.do(command, &r)
		checkResult(t, r, 1)

		if why := p.refused(kafkaCommand(t, cfg, map[string]any{"topic": topic, "partitions": 5})); !strings.Contains(why, "has 4 partitions, not 5") {
			t.Errorf("a topic with other partitions is refused with %q", why)
		}
		p.quit()
	})
}

// TestKafkaLoopWantsItsTopicAlone has someone else produce to the topic.
func TestKafkaLoopWantsItsTopicAlone(t *testing.T) {
	cfg := kafkatest.Embedded(t, 2)
	other, err := kgo.NewClient(kgo.SeedBrokers(cfg.Brokers...), kgo.DefaultProduceTopic(cfg.Topic()))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	p := start(t, "kafka-loop")
	p.send(kafkaCommand(t, cfg, map[string]any{"rate": 100, "seconds": 60}))
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		if why := p.answerError(); !strings.Contains(why, "nobody here produced") {
			t.Errorf("it ended with %q", why)
		}
	}()
	for produced := 0; ; produced++ {
		if err := other.ProduceSync(t.Context(), kgo.StringRecord(fmt.Sprint("stray ", produced))).FirstErr(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-answered:
			p.quit()
			return
		default:
		}
	}
}

func TestKafkaLoopWithoutBroker(t *testing.T) {
	p := start(t, "kafka-loop")
	p.refused(`{"cmd":"kafka","brokers":["127.0.0.1:1"],"topic":"t","partitions":1,"size":200,"seconds":1}`)
	p.quit()
}
