package rawlog

import (
	"testing"

	"github.com/godwit-im/godwit/backplane/kafkatest"
)

func TestMain(m *testing.M) { kafkatest.Main(m) }
