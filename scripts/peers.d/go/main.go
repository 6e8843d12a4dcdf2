// The programs of scripts/peers that need no module of others.
//
//	peers plant ...        writes entries signed with certificates of a throw-away authority
//	peers tuf FOLDER FILE...   makes a TUF repository of the files, or the next version of it
package main

import (
	"fmt"
	"os"
)

func main() {
	commands := map[string]func([]string) error{"plant": plant, "tuf": publish}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "peers plant|tuf")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintf(os.Stderr, "peers %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}
