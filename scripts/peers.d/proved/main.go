// proved POLICY PROOF LEAF verifies a C2SP tlog-proof of the bytes in the file LEAF by a policy that names the log. It is built
// inside torchwood's module.
package main

import (
	"fmt"
	"os"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	if err := verify(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "proved:", err)
		os.Exit(1)
	}
	fmt.Println("proved")
}

func verify(files []string) error {
	if len(files) != 3 {
		return fmt.Errorf("three files expected: a policy, a proof and a leaf")
	}
	var texts [3][]byte
	for i, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		texts[i] = text
	}
	policy, err := torchwood.ParsePolicy(texts[0])
	if err != nil {
		return err
	}
	return torchwood.VerifyProof(policy, tlog.RecordHash(texts[2]), texts[1])
}
