package main

import "github.com/godwit-im/godwit/backplane"

// checkUser checks the value of a --user flag.
func checkUser(user string) error {
	if user == "" {
		return usagef("--user is missing: the id of a user is needed")
	}
	if err := backplane.ValidUser([]byte(user)); err != nil {
		return usagef("--user is %q: %v", user, err)
	}
	return nil
}
