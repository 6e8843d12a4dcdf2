// leaf ARTIFACT SIGNATURE KEY STORED compares the leaf that a log stored of a rekord with a PGP signature with the one that
// Rekor's own code makes of the same files. It is built inside Rekor's module.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/sigstore/rekor/pkg/types"
	_ "github.com/sigstore/rekor/pkg/types/rekord/v0.0.1"
)

func main() {
	files := os.Args[1:]
	if len(files) != 4 {
		fmt.Fprintln(os.Stderr, "leaf ARTIFACT SIGNATURE KEY STORED")
		os.Exit(2)
	}
	stored, err := os.ReadFile(files[3])
	var made []byte
	if err == nil {
		made, err = rekorLeaf(files[0], files[1], files[2])
	}
	if err != nil {
		fmt.Println("Rekor refuses it:", err)
		os.Exit(1)
	}
	if err := compare(made, stored); err != nil {
		fmt.Println("other leaf bytes:", err)
		os.Exit(1)
	}
	fmt.Println("same leaf,", len(stored), "bytes")
}

func rekorLeaf(artifact, signature, key string) ([]byte, error) {
	ctx := context.Background()
	proposed, err := types.NewProposedEntry(ctx, "rekord", "0.0.1", types.ArtifactProperties{
		ArtifactPath: &url.URL{Path: artifact}, SignaturePath: &url.URL{Path: signature},
		PublicKeyPaths: []*url.URL{{Path: key}}, PKIFormat: "pgp",
	})
	if err != nil {
		return nil, err
	}
	entry, err := types.CreateVersionedEntry(proposed)
	if err != nil {
		return nil, err
	}
	return types.CanonicalizeEntry(ctx, entry)
}

// compare takes leaves as the same whose keys have their user IDs in another order: Rekor's is the order of a Go map, which
// differs from run to run.
func compare(made, stored []byte) error {
	ours, err := withSortedUsers(stored)
	if err != nil {
		return fmt.Errorf("stored: %w", err)
	}
	theirs, err := withSortedUsers(made)
	if err != nil {
		return fmt.Errorf("Rekor's: %w", err)
	}
	if len(made) != len(stored) || !bytes.Equal(ours, theirs) {
		return fmt.Errorf("%d and %d", len(stored), len(made))
	}
	return nil
}

// withSortedUsers returns the leaf with the packets of its key in place of the armored key, user IDs in order.
func withSortedUsers(leaf []byte) ([]byte, error) {
	var entry struct {
		Spec struct {
			Signature struct {
				PublicKey struct {
					Content []byte `json:"content"`
				} `json:"publicKey"`
			} `json:"signature"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(leaf, &entry); err != nil {
		return nil, err
	}
	armored := entry.Spec.Signature.PublicKey.Content
	block, err := armor.Decode(bytes.NewReader(armored))
	if err != nil {
		return nil, err
	}
	groups, err := packetGroups(block.Body)
	if err != nil {
		return nil, err
	}
	encoded, err := json.Marshal(armored)
	if err != nil {
		return nil, err
	}
	rest := bytes.Replace(leaf, encoded, nil, 1)
	if len(rest) == len(leaf) {
		return nil, errors.New("the key is not in the leaf as it was read")
	}
	return append(rest, bytes.Join(groups, nil)...), nil
}

// packetGroups returns the packets of a key: the primary key, each user ID and each subkey with the signatures after it. The user
// IDs are sorted.
func packetGroups(key io.Reader) ([][]byte, error) {
	var groups, users [][]byte
	reader := packet.NewOpaqueReader(key)
	into := &groups
	for {
		read, err := reader.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		const signature, userID = 2, 13
		if read.Tag != signature {
			into = &groups
			if read.Tag == userID {
				into = &users
			}
			*into = append(*into, nil)
		}
		if len(*into) == 0 {
			return nil, errors.New("a key that begins with a signature")
		}
		last := &(*into)[len(*into)-1]
		*last = append(append(*last, read.Tag), read.Contents...)
	}
	slices.SortFunc(users, bytes.Compare)
	return append(groups, users...), nil
}
