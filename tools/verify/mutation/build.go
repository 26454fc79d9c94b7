package mutation

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// command is the package of godwit's one binary.
const command = "./tools/godwit"

// Build builds the godwit command of the checkout in root with the edits of m, as the file
// name in folder, and returns its path. What else it writes there is for the compiler.
func (m Mutation) Build(ctx context.Context, root, folder, name string) (binary string, err error) {
	overlay, err := m.Overlay(root, folder)
	if err != nil {
		return "", err
	}
	binary = filepath.Join(folder, name)
	cmd := exec.CommandContext(ctx, "go", "build", "-overlay", overlay, "-o", binary, command)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("mutation: building %s: %w\n%s", m.Name, err, out)
	}
	return binary, nil
}

// Overlay writes the files that m changes into folder, an absolute path, and the list of
// them that go build -overlay takes, whose path it returns.
func (m Mutation) Overlay(root, folder string) (list string, err error) {
	texts := make(map[string]string) // by the edits' File
	for _, e := range m.Edits {
		text, ok := texts[e.File]
		if !ok {
			b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(e.File)))
			if err != nil {
				return "", fmt.Errorf("mutation: %s: %w", m.Name, err)
			}
			text = string(b)
		}
		if texts[e.File], err = e.apply(text); err != nil {
			return "", fmt.Errorf("mutation: %s: %w", m.Name, err)
		}
	}
	overlay := struct{ Replace map[string]string }{make(map[string]string)}
	for file, text := range texts {
		changed := filepath.Join(folder, strings.ReplaceAll(file, "/", "-"))
		if err := os.WriteFile(changed, []byte(text), 0o644); err != nil {
			return "", fmt.Errorf("mutation: %s: %w", m.Name, err)
		}
		overlay.Replace[filepath.Join(root, filepath.FromSlash(file))] = changed
	}
	b, err := json.Marshal(overlay)
	if err != nil {
		return "", fmt.Errorf("mutation: %s: %w", m.Name, err)
	}
	list = filepath.Join(folder, "overlay.json")
	if err := os.WriteFile(list, b, 0o644); err != nil {
		return "", fmt.Errorf("mutation: %s: %w", m.Name, err)
	}
	return list, nil
}

// apply returns a text with the edit made.
func (e Edit) apply(text string) (string, error) {
	// Whole lines: what is found has a line's end before it.
	text = "\n" + text
	if n := strings.Count(text, "\n"+e.Find); n != 1 {
		return "", fmt.Errorf("%s has the lines %d times that are to be changed there, and must have them once:\n%s", e.File, n, e.Find)
	}
	return strings.Replace(text, "\n"+e.Find, "\n"+e.Put, 1)[1:], nil
}
