// Package config holds the settings of a node: where they come from, what they
// may be, and how they are shown.
//
// One Config describes the whole node. Load builds it from defaults, a YAML
// file, GODWIT_* variables and flags, each over the one before, and refuses
// every key that it does not know. Validate reports everything that is wrong
// at once, naming the setting, its value and what is allowed. Effective prints
// the result as YAML that Load reads back.
//
// No setting holds a secret: keys and tokens stand in files of their own, and
// settings name those files. So there is nothing to leak in a process list, in
// the environment or in the output of Effective.
//
// The package is not for settings that change while the node runs. A Config is
// immutable once Load has returned it; then any goroutine may read it. Load and
// AddFlags are for the goroutine that starts the process.
package config
