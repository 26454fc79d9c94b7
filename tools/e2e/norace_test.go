//go:build !race

package e2e

// raceFlag has the server built the way the tests are.
const raceFlag = "-race=false"
