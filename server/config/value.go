package config

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// parsed is a pflag.Value over a place in a Config.
type parsed[T any] struct {
	place  *T
	kind   string // what --help calls the value
	parse  func(string) (T, error)
	format func(T) string
}

func (v *parsed[T]) Set(text string) error {
	t, err := v.parse(text)
	if err != nil {
		return err
	}
	*v.place = t
	return nil
}

func (v *parsed[T]) String() string { return v.format(*v.place) }
func (v *parsed[T]) Type() string   { return v.kind }

func textValue[T ~string](place *T) pflag.Value {
	return &parsed[T]{place, "string",
		func(s string) (T, error) { return T(s), nil },
		func(t T) string { return string(t) }}
}

// numberValue takes whole numbers that fit bits bits and are not negative: no
// setting is.
func numberValue[T int | int32 | uint32 | uint64](place *T, bits int) pflag.Value {
	return &parsed[T]{place, "number",
		func(s string) (T, error) {
			n, err := strconv.ParseUint(s, 10, bits)
			switch {
			case errors.Is(err, strconv.ErrRange):
				return 0, errors.New("must be at most " + strconv.FormatUint(1<<bits-1, 10))
			case err != nil:
				return 0, errors.New("must be a whole number, 0 or above")
			}
			return T(n), nil
		},
		func(t T) string { return strconv.FormatUint(uint64(t), 10) }}
}

func sizeValue(place *Size) pflag.Value {
	return &parsed[Size]{place, "size", ParseSize, Size.String}
}

func durationValue(place *time.Duration) pflag.Value {
	return &parsed[time.Duration]{place, "duration",
		func(s string) (time.Duration, error) {
			d, err := time.ParseDuration(s)
			if err != nil {
				return 0, errors.New(`must be a duration with its unit, such as "10s" or "1m30s"`)
			}
			return d, nil
		},
		time.Duration.String}
}

// boolValue takes the two words of YAML, not the many that Go's flags take.
func boolValue(place *bool) pflag.Value {
	return &parsed[bool]{place, "bool",
		func(s string) (bool, error) {
			if s != "true" && s != "false" {
				return false, errors.New("must be true or false")
			}
			return s == "true", nil
		},
		strconv.FormatBool}
}

func listValue(place *[]string) pflag.Value {
	return &parsed[[]string]{place, "list",
		func(s string) ([]string, error) {
			if s == "" {
				return nil, nil
			}
			list := strings.Split(s, ",")
			for i := range list {
				list[i] = strings.TrimSpace(list[i])
			}
			return list, nil
		},
		func(list []string) string { return strings.Join(list, ",") }}
}
