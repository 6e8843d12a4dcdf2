package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// heads are all roots that were published, by size.
type heads struct {
	lock  sync.Mutex
	roots map[uint64][]byte
}

func newHeads() *heads {
	return &heads{roots: map[uint64][]byte{}}
}

func (h *heads) add(size uint64, root []byte) error {
	h.lock.Lock()
	defer h.lock.Unlock()
	if before, found := h.roots[size]; found && !bytes.Equal(before, root) {
		return fmt.Errorf("two roots of size %d: %x and %x", size, before, root)
	}
	if size > 0 {
		h.roots[size] = bytes.Clone(root)
	}
	return nil
}

// startWriters lets clients write to both logs in turn, and gives one result when all are done or the first failed.
func startWriters(url string, clients, each int, ofV1, ofV2 *heads) <-chan error {
	results := make(chan error, clients)
	for range clients {
		go func() { results <- write(url, each, ofV1, ofV2) }()
	}
	done := make(chan error, 1)
	go func() {
		for range clients {
			if err := <-results; err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	return done
}

func write(url string, entries int, ofV1, ofV2 *heads) error {
	key, err := newKey()
	if err != nil {
		return err
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{}}
	for i := range entries {
		artifact := make([]byte, 32)
		_, _ = rand.Read(artifact)
		digest := sha256.Sum256(artifact)
		signature, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
		if err != nil {
			return err
		}
		if i%2 == 0 {
			err = writeV1(client, url, spki, digest[:], signature, ofV1)
		} else {
			err = writeV2(client, url, spki, digest[:], signature, ofV2)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

type object = map[string]any

func writeV1(client *http.Client, url string, spki, digest, signature []byte, seen *heads) error {
	key := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})
	var answer map[string]struct {
		Verification struct {
			Proof struct {
				Size uint64 `json:"treeSize"`
				Root string `json:"rootHash"`
			} `json:"inclusionProof"`
		} `json:"verification"`
	}
	err := post(client, url+"/api/v1/log/entries", object{
		"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": object{
			"data":      object{"hash": object{"algorithm": "sha256", "value": hex.EncodeToString(digest)}},
			"signature": object{"content": signature, "publicKey": object{"content": key}},
		}}, &answer)
	if err != nil {
		return err
	}
	for _, entry := range answer {
		root, err := hex.DecodeString(entry.Verification.Proof.Root)
		if err != nil {
			return err
		}
		return seen.add(entry.Verification.Proof.Size, root)
	}
	return fmt.Errorf("an answer without entry")
}

func writeV2(client *http.Client, url string, spki, digest, signature []byte, seen *heads) error {
	var answer struct {
		Proof struct {
			Size uint64 `json:"treeSize,string"`
			Root []byte `json:"rootHash"`
		} `json:"inclusionProof"`
	}
	err := post(client, url+"/api/v2/log/entries", object{"hashedRekordRequestV002": object{
		"digest": base64.StdEncoding.EncodeToString(digest),
		"signature": object{"content": signature, "verifier": object{
			"publicKey": object{"rawBytes": spki}, "keyDetails": "PKIX_ECDSA_P256_SHA_256",
		}},
	}}, &answer)
	if err != nil {
		return err
	}
	return seen.add(answer.Proof.Size, answer.Proof.Root)
}

func post(client *http.Client, url string, request any, answer any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	response, err := client.Post(url, "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusCreated {
		return fmt.Errorf("%s: %s %s", url, response.Status, text)
	}
	return json.Unmarshal(text, answer)
}
