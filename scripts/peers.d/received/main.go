// received RECEIPT LEAF KEY verifies with go-cose that a COSE receipt (RFC 9942) is of the bytes in the file LEAF and signed with
// the public key in the PEM file KEY. It is built with the libraries of go-cose.
package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"

	"github.com/fxamacker/cbor/v2"
	"github.com/veraison/go-cose"
)

const (
	labelStructure = int64(395)
	labelProofs    = int64(396)
	labelInclusion = int64(-1)
)

type inclusion struct {
	_     struct{} `cbor:",toarray"`
	Size  uint64
	Index uint64
	Path  [][]byte
}

func main() {
	if err := verify(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "received:", err)
		os.Exit(1)
	}
	fmt.Println("received")
}

func verify(receiptFile, leafFile, keyFile string) error {
	receipt, err := os.ReadFile(receiptFile)
	if err != nil {
		return err
	}
	leaf, err := os.ReadFile(leafFile)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(keyFile)
	if err != nil {
		return err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return errors.New("no PEM")
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return err
	}
	var message cose.Sign1Message
	if err := message.UnmarshalCBOR(receipt); err != nil {
		return err
	}
	if message.Payload != nil {
		return errors.New("the payload is not detached")
	}
	if structure := message.Headers.Protected[labelStructure]; structure != int64(1) {
		return fmt.Errorf("the tree is %v", structure)
	}
	proof, err := inclusionOf(message.Headers.Unprotected)
	if err != nil {
		return err
	}
	message.Payload, err = root(leaf, proof)
	if err != nil {
		return err
	}
	algorithm, err := message.Headers.Protected.Algorithm()
	if err != nil {
		return err
	}
	verifier, err := cose.NewVerifier(algorithm, key)
	if err != nil {
		return err
	}
	return message.Verify(nil, verifier)
}

func inclusionOf(header cose.UnprotectedHeader) (proof inclusion, err error) {
	proofs, ok := header[labelProofs].(map[any]any)
	if !ok {
		return proof, fmt.Errorf("no proofs: %T", header[labelProofs])
	}
	list, ok := proofs[labelInclusion].([]any)
	if !ok || len(list) != 1 {
		return proof, errors.New("not one inclusion proof")
	}
	encoded, ok := list[0].([]byte)
	if !ok {
		return proof, errors.New("the proof is not bytes")
	}
	return proof, cbor.Unmarshal(encoded, &proof)
}

// root follows RFC 9162 section 2.1.3.2.
func root(leaf []byte, proof inclusion) ([]byte, error) {
	if proof.Index >= proof.Size {
		return nil, errors.New("the index is beyond the tree")
	}
	first, last := proof.Index, proof.Size-1
	node := hash([]byte{0}, leaf)
	for _, sibling := range proof.Path {
		if last == 0 {
			return nil, errors.New("the path is too long")
		}
		if first&1 == 1 || first == last {
			node = hash([]byte{1}, sibling, node)
			for first&1 == 0 && first != 0 {
				first, last = first>>1, last>>1
			}
		} else {
			node = hash([]byte{1}, node, sibling)
		}
		first, last = first>>1, last>>1
	}
	if last != 0 {
		return nil, errors.New("the path is too short")
	}
	return node, nil
}

func hash(parts ...[]byte) []byte {
	sum := sha256.Sum256(bytes.Join(parts, nil))
	return sum[:]
}
