package main

import (
	"crypto"
	"crypto/rand"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/theupdateframework/go-tuf"
	"github.com/theupdateframework/go-tuf/data"
	"github.com/theupdateframework/go-tuf/pkg/keys"
	"github.com/veraison/go-cose"
)

// coseSign1 signs FILE with a P-256 key as a COSE_Sign1 message.
func coseSign1(args []string) error {
	flags := flag.NewFlagSet("cose", flag.ExitOnError)
	key := flags.String("key", "", "private key, PEM")
	contentType := flags.String("content-type", "", "content type of FILE")
	aad := flags.String("aad", "", "what is signed with it and not in the message")
	out := flags.String("out", "", "where the message goes")
	_ = flags.Parse(args)
	payload, err := os.ReadFile(flags.Arg(0))
	if err != nil {
		return err
	}
	pem, err := os.ReadFile(*key)
	if err != nil {
		return err
	}
	private, err := cryptoutils.UnmarshalPEMToPrivateKey(pem, cryptoutils.SkipPassword)
	if err != nil {
		return err
	}
	signer, err := cose.NewSigner(cose.AlgorithmES256, private.(crypto.Signer))
	if err != nil {
		return err
	}
	message := cose.NewSign1Message()
	message.Headers.Protected.SetAlgorithm(cose.AlgorithmES256)
	if *contentType != "" {
		message.Headers.Protected[cose.HeaderLabelContentType] = *contentType
	}
	message.Payload = payload
	if err := message.Sign(rand.Reader, []byte(*aad), signer); err != nil {
		return err
	}
	encoded, err := message.MarshalCBOR()
	if err != nil {
		return err
	}
	return os.WriteFile(*out, encoded, 0o600)
}

// tufRepository makes a repository in FOLDER whose four top roles have a key each, of all types that go-tuf makes.
func tufRepository(args []string) error {
	flags := flag.NewFlagSet("tuf", flag.ExitOnError)
	target := flags.String("target", "", "a file of the repository")
	_ = flags.Parse(args)
	content, err := os.ReadFile(*target)
	if err != nil {
		return err
	}
	meta := map[string]json.RawMessage{}
	repository, err := tuf.NewRepo(tuf.MemoryStore(meta, map[string][]byte{*target: content}))
	if err != nil {
		return err
	}
	if err := repository.Init(false); err != nil {
		return err
	}
	schemes := map[string]data.KeyScheme{
		"root": data.KeySchemeRSASSA_PSS_SHA256, "targets": data.KeySchemeECDSA_SHA2_P256,
		"snapshot": data.KeySchemeEd25519, "timestamp": data.KeySchemeRSASSA_PSS_SHA256,
	}
	for role, scheme := range schemes {
		signer, err := newSigner(scheme)
		if err != nil {
			return err
		}
		if err := repository.AddPrivateKey(role, signer); err != nil {
			return err
		}
	}
	for _, step := range []func() error{
		func() error { return repository.AddTarget(*target, nil) }, repository.Snapshot, repository.Timestamp, repository.Commit,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	for role := range schemes {
		document := meta[role+".json"]
		if document == nil {
			return fmt.Errorf("the repository has no %s", role)
		}
		if err := os.WriteFile(filepath.Join(flags.Arg(0), role+".json"), document, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func newSigner(scheme data.KeyScheme) (keys.Signer, error) {
	switch scheme {
	case data.KeySchemeRSASSA_PSS_SHA256:
		return keys.GenerateRsaKey()
	case data.KeySchemeECDSA_SHA2_P256:
		return keys.GenerateEcdsaKey()
	default:
		return keys.GenerateEd25519Key()
	}
}
