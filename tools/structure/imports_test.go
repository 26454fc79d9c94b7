package structure

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestImportsRunDownwards(t *testing.T) {
	for _, p := range packages(t) {
		rank, ok := ranks[p.name()]
		if !ok {
			t.Errorf("%s has no rank: add it to ranks_test.go", p.name())
			continue
		}
		for _, path := range p.Imports {
			imported := inner(path)
			if imported == "" {
				continue
			}
			if other, ok := ranks[imported]; ok && other >= rank {
				t.Errorf("%s (rank %d) imports %s (rank %d): imports run downwards", p.name(), rank, imported, other)
			}
		}
	}
}

func TestModulesStayBehindTheirPackages(t *testing.T) {
	for _, p := range packages(t) {
		for _, owner := range owners {
			if owner.packages[p.name()] {
				continue
			}
			imports := p.Imports
			if !owner.tests {
				imports = append(append(imports[:len(imports):len(imports)], p.TestImports...), p.XTestImports...)
			}
			for _, path := range imports {
				if path == owner.module || strings.HasPrefix(path, owner.module+"/") {
					t.Errorf("%s imports %s, which only %v may", p.name(), path, slices.Sorted(maps.Keys(owner.packages)))
				}
			}
		}
	}
}

func TestTestingStaysInTests(t *testing.T) {
	for _, p := range packages(t) {
		if forTests[p.name()] {
			continue
		}
		for _, path := range p.Imports {
			if path == "testing" || forTests[inner(path)] {
				t.Errorf("%s imports %s in code that is not a test", p.name(), path)
			}
		}
	}
}

func TestTablesNameRealPackages(t *testing.T) {
	for _, table := range []map[string]bool{pure, forTests} {
		for name := range table {
			if _, ok := ranks[name]; !ok {
				t.Errorf("%s has no rank", name)
			}
		}
	}
}
