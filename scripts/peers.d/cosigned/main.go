// cosigned POLICY CHECKPOINT verifies a checkpoint by a policy that names its log. It is built inside torchwood's module.
package main

import (
	"fmt"
	"os"

	"filippo.io/torchwood"
)

func main() {
	if err := verify(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "cosigned:", err)
		os.Exit(1)
	}
}

func verify(files []string) error {
	if len(files) != 2 {
		return fmt.Errorf("two files expected: a policy and a checkpoint")
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		return err
	}
	policy, err := torchwood.ParsePolicy(text)
	if err != nil {
		return err
	}
	note, err := os.ReadFile(files[1])
	if err != nil {
		return err
	}
	checkpoint, _, err := torchwood.VerifyCheckpoint(note, policy)
	if err != nil {
		return err
	}
	fmt.Println("cosigned:", checkpoint.Origin, checkpoint.N)
	return nil
}
