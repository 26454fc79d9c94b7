package rawlog

import (
	"errors"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// usersHeader is the name of the header with the users whom a record concerns.
const usersHeader = "r"

var errUsers = errors.New("its header " + usersHeader + " is no list of users")

// parseUsers returns those users of a header whose names begin with prefix.
func parseUsers(header []byte, prefix string) (users []string, err error) {
	for len(header) > 0 {
		user, n := protowire.ConsumeBytes(header)
		if n < 0 {
			return nil, errUsers
		}
		if name := string(user); strings.HasPrefix(name, prefix) {
			users = append(users, name)
		}
		header = header[n:]
	}
	return users, nil
}
