package mutation

import (
	"embed"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Mutation is a bug that can be planted.
type Mutation struct {
	Name  string // that of its file in bugs, without the suffix
	About string // what is wrong, a sentence
	// Checks are the names of those that may find it. One is enough, since which of them
	// comes to see it is up to the run.
	Checks []string
	// Flags are those of godwit verify for the run that shows it.
	Flags []string
	Edits []Edit // in the order in which they are made
}

// Edit puts one text of the source in the place of another.
type Edit struct {
	// Tunes says that the source is right either way; see the package's comment.
	Tunes bool
	File  string // by its path in the repository, with slashes
	// Find and Put are whole lines. Find is in the file exactly once. Put may be empty.
	Find, Put string
}

//go:embed bugs/*.txt
var bugs embed.FS

const (
	folder = "bugs"
	suffix = ".txt"
)

// All returns all mutations, by their names.
func All() ([]Mutation, error) {
	files, err := bugs.ReadDir(folder)
	if err != nil {
		return nil, fmt.Errorf("mutation: %w", err)
	}
	var all []Mutation
	for _, f := range files {
		text, err := bugs.ReadFile(path.Join(folder, f.Name()))
		if err != nil {
			return nil, fmt.Errorf("mutation: %w", err)
		}
		m, err := Parse(strings.TrimSuffix(f.Name(), suffix), string(text))
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// Choose returns those of the mutations that have one of the names.
func Choose(all []Mutation, names []string) ([]Mutation, error) {
	var chosen []Mutation
	for _, name := range names {
		i := slices.IndexFunc(all, func(m Mutation) bool { return m.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("mutation: there is none that is called %q", name)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// Control returns m without its bug: what is left only tunes.
func (m Mutation) Control() Mutation {
	m.Edits = slices.DeleteFunc(slices.Clone(m.Edits), func(e Edit) bool { return !e.Tunes })
	return m
}
