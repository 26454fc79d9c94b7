package config

import (
	"bytes"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// Effective returns c as a YAML file that Load reads back to the same. Settings
// hold no secrets, only the names of files that do, so nothing is left out.
func (c *Config) Effective() ([]byte, error) {
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(c); err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	return b.Bytes(), nil
}
