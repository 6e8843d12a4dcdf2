// The programs of scripts/interop that need Sigstore's Go libraries. Versions are those that cosign 3.1.3 is built with, so that
// one build cache serves both.
//
//	interop authorities FOLDER COMMAND...   a certificate authority, its transparency log, a time-stamp authority and an
//	                                        identity provider, beside COMMAND
//	interop sign ...                        signs with sigstore-go, as a signing config says
//	interop verify ...                      verifies with sigstore-go, with a trusted root and nothing else
//	interop cose ...                        signs a COSE message
//	interop tuf FOLDER                      makes a TUF repository
//	interop walk ...                        reads the tiles while others write, and recomputes every root
package main

import (
	"fmt"
	"os"
)

func main() {
	commands := map[string]func([]string) error{
		"authorities": authorities, "sign": sign, "verify": verifyBundle, "cose": coseSign1, "tuf": tufRepository, "walk": walk,
	}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "interop authorities|sign|verify|cose|tuf|walk")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintf(os.Stderr, "interop %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}
