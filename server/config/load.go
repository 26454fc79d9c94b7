package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"

	"github.com/godwit-im/godwit/server/placement"
)

const (
	// FileFlag is the flag that names the file of settings.
	FileFlag = "config"
	// FileVariable is the variable that names it when the flag does not.
	FileVariable = envPrefix + "CONFIG"
)

// foreign are the GODWIT_ variables that belong to the project's tests and
// scripts. They are no settings, and a node that is started by a test sees them.
var foreign = map[string]bool{
	"GODWIT_REQUIRE_SERVICES": true,
	"GODWIT_CASSANDRA_HOSTS":  true,
	"GODWIT_CACHE":            true,
}

// AddFlags adds a flag for every setting to fs, and FileFlag. defaults is what
// --help shows; it is not changed.
func AddFlags(fs *pflag.FlagSet, defaults Config) {
	fs.String(FileFlag, "", "YAML file of settings (also "+FileVariable+")")
	for i := range settings {
		s := &settings[i]
		f := fs.VarPF(s.value(&defaults), s.flag(), "", s.usage)
		if f.Value.Type() == "bool" {
			f.NoOptDefVal = "true"
		}
	}
}

// Load returns base with the settings of the file, of the variables in
// environ (as os.Environ gives them) and of the flags that were given, each
// over the one before, completed and validated. flags may be nil.
//
// The error is an *Error with everything that is wrong. A key that is not a
// setting is wrong, in the file as in a GODWIT_ variable. When all could be read
// and only Validate found something, Load returns the Config too, to be shown.
func Load(base Config, environ []string, flags *pflag.FlagSet) (*Config, error) {
	c := base
	var wrong findings
	for _, layer := range []layer{fileLayer(environ, flags), envLayer(environ), flagLayer(flags)} {
		wrong = append(wrong, layer.apply(&c)...)
	}
	if len(wrong) > 0 {
		// Validate would only repeat, in other words, what follows from these.
		return nil, wrong.err()
	}
	c.complete()
	return &c, c.Validate()
}

// layer is one source of settings, read.
type layer struct {
	raw    map[string]any          // nested as in the file
	source func(key string) string // where a key of it was set
	wrong  findings                // what was found while reading it
}

// fileLayer reads the file that the flag, or else the variable, names.
func fileLayer(environ []string, flags *pflag.FlagSet) layer {
	path := ""
	if flags != nil {
		if f := flags.Lookup(FileFlag); f != nil {
			path = f.Value.String()
		}
	}
	for _, kv := range environ {
		if value, ok := strings.CutPrefix(kv, FileVariable+"="); ok && path == "" {
			path = value
		}
	}
	if path == "" {
		return layer{}
	}
	l := layer{source: func(string) string { return path }}
	k := koanf.New(".")
	if err := k.Load(file.Provider(path), yaml.Parser()); err != nil {
		l.wrong = findings{{Problem: fmt.Sprintf("the file of settings cannot be read: %v", err)}}
	}
	l.raw = k.Raw()
	return l
}

// envLayer takes the GODWIT_ variables.
func envLayer(environ []string) layer {
	var l layer
	k := koanf.New(".")
	err := k.Load(env.Provider(".", env.Opt{
		Prefix:      envPrefix,
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, value string) (string, any) {
			s := byEnv[name]
			switch {
			case s != nil:
				return s.key, value
			case name == envPrefix+"MAP":
				l.wrong = append(l.wrong, Finding{Source: name, Problem: "the map of nodes stands in the file of settings only"})
			case name != FileVariable && !foreign[name]:
				l.wrong = append(l.wrong, Finding{Source: name, Problem: "no setting has this variable"})
			}
			return "", nil
		},
	}), nil)
	if err != nil {
		l.wrong = append(l.wrong, Finding{Source: "environment", Problem: err.Error()})
	}
	l.raw = k.Raw()
	l.source = func(key string) string { return byKey[key].env() }
	return l
}

// flagLayer takes the flags that were given.
func flagLayer(flags *pflag.FlagSet) layer {
	if flags == nil {
		return layer{}
	}
	var l layer
	k := koanf.New(".")
	err := k.Load(posflag.ProviderWithFlag(flags, ".", nil, func(f *pflag.Flag) (string, any) {
		if s := byFlag[f.Name]; s != nil {
			return s.key, f.Value.String()
		}
		return "", nil // a flag of the command that is no setting
	}), nil)
	if err != nil {
		l.wrong = findings{{Source: "flags", Problem: err.Error()}}
	}
	l.raw = k.Raw()
	l.source = func(key string) string { return "--" + byKey[key].flag() }
	return l
}

// apply puts the layer over c and returns what was wrong with it.
func (l layer) apply(c *Config) findings {
	wrong := l.wrong
	l.walk("", l.raw, c, &wrong)
	for i := range wrong {
		if wrong[i].Source == "" && l.source != nil {
			wrong[i].Source = l.source(wrong[i].Setting)
		}
	}
	return wrong
}

// walk sets the settings below prefix, in the order of their names, so that
// findings come in the same order every time.
func (l layer) walk(prefix string, raw map[string]any, c *Config, wrong *findings) {
	for _, name := range slices.Sorted(maps.Keys(raw)) {
		key, value := prefix+name, raw[name]
		switch s := byKey[key]; {
		case sections[key]:
			if inner, ok := value.(map[string]any); ok {
				l.walk(key+".", inner, c, wrong)
			} else if value != nil {
				wrong.add(key, value, "must hold settings of its own, not a value")
			}
		case key == mapKey:
			c.Map = readMap(value, wrong)
		case s == nil || strings.Contains(name, "."):
			*wrong = append(*wrong, Finding{Problem: fmt.Sprintf("no setting has the name %q", key)})
		default:
			set(s, c, value, wrong)
		}
	}
}

// set sets s in c to a value of the file.
func set(s *setting, c *Config, value any, wrong *findings) {
	text, err := scalar(value)
	if members, ok := value.([]any); ok && s.list {
		text, err = join(members)
	}
	if err == nil {
		err = s.value(c).Set(text)
	}
	if err != nil {
		if value == nil {
			value = ""
		}
		wrong.add(s.key, value, "%v", err)
	}
}

func join(members []any) (string, error) {
	texts := make([]string, len(members))
	for i, m := range members {
		var err error
		if texts[i], err = scalar(m); err != nil {
			return "", err
		}
	}
	return strings.Join(texts, ","), nil
}

// scalar returns the text of a plain YAML value.
func scalar(value any) (string, error) {
	switch v := value.(type) {
	case nil:
		return "", errors.New("has no value: leave the line out for the default")
	case map[string]any, []any:
		return "", errors.New("must be one plain value")
	default:
		return fmt.Sprint(v), nil
	}
}

// readMap reads the list of nodes.
func readMap(value any, wrong *findings) []Peer {
	list, ok := value.([]any)
	if !ok {
		wrong.add(mapKey, value, "must be a list of nodes, each with node, url and partitions")
		return nil
	}
	peers := make([]Peer, len(list))
	for i, item := range list {
		key := fmt.Sprintf("%s[%d]", mapKey, i)
		fields, ok := item.(map[string]any)
		if !ok {
			wrong.add(key, item, "must have node, url and partitions")
			continue
		}
		p := &peers[i]
		places := map[string]setting{
			"node": {key: key + ".node", value: func(*Config) pflag.Value { return textValue(&p.Node) }},
			"url":  {key: key + ".url", value: func(*Config) pflag.Value { return textValue(&p.URL) }},
			"partitions": {key: key + ".partitions", list: true, value: func(*Config) pflag.Value {
				return &parsed[placement.Ranges]{&p.Partitions, "partitions", placement.ParseRanges, placement.Ranges.String}
			}},
		}
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			s, ok := places[name]
			if !ok {
				*wrong = append(*wrong, Finding{Problem: fmt.Sprintf("no setting has the name %q", key+"."+name)})
				continue
			}
			set(&s, nil, fields[name], wrong)
		}
	}
	return peers
}
