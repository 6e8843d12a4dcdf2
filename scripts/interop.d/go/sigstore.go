package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	sigstore "github.com/sigstore/sigstore-go/pkg/sign"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
	"google.golang.org/protobuf/encoding/protojson"
)

// sign signs FILE as the signing config says, with a key or with a certificate for a token.
func sign(args []string) error {
	flags := flag.NewFlagSet("sign", flag.ExitOnError)
	config := flags.String("signing-config", "", "signing config")
	trusted := flags.String("trusted-root", "", "trusted root, to check the bundle before it is written")
	token := flags.String("token", "", "identity token")
	key := flags.String("key", "", "private key, PEM")
	attestation := flags.Bool("attestation", false, "FILE is an in-toto statement")
	out := flags.String("bundle", "", "where the bundle goes")
	_ = flags.Parse(args)
	content, err := os.ReadFile(flags.Arg(0))
	if err != nil {
		return err
	}
	services, err := root.NewSigningConfigFromPath(*config)
	if err != nil {
		return err
	}
	options := sigstore.BundleOptions{Context: context.Background()}
	if options.TrustedRoot, err = root.NewTrustedRootFromPath(*trusted); err != nil {
		return err
	}
	var pair sigstore.Keypair
	if *key != "" {
		if pair, err = readKeypair(*key); err != nil {
			return err
		}
		options.TrustedRoot = &withKey{options.TrustedRoot, pair.GetPublicKey()}
	} else {
		if pair, err = sigstore.NewEphemeralKeypair(nil); err != nil {
			return err
		}
		fulcio, err := root.SelectService(services.FulcioCertificateAuthorityURLs(), sigstore.FulcioAPIVersions, time.Now())
		if err != nil {
			return err
		}
		options.CertificateProvider = sigstore.NewFulcio(&sigstore.FulcioOptions{BaseURL: fulcio.URL})
		options.CertificateProviderOptions = &sigstore.CertificateProviderOptions{IDToken: *token}
	}
	if err := addWitnesses(&options, services); err != nil {
		return err
	}
	var signed sigstore.Content = &sigstore.PlainData{Data: content}
	if *attestation {
		signed = &sigstore.DSSEData{Data: content, PayloadType: "application/vnd.in-toto+json"}
	}
	made, err := sigstore.Bundle(signed, pair, options)
	if err != nil {
		return err
	}
	text, err := protojson.Marshal(made)
	if err != nil {
		return err
	}
	return os.WriteFile(*out, text, 0o644)
}

// addWitnesses adds the logs and the time-stamp authorities that the signing config names.
func addWitnesses(options *sigstore.BundleOptions, services *root.SigningConfig) error {
	logs, err := root.SelectServices(services.RekorLogURLs(), services.RekorLogURLsConfig(), sigstore.RekorAPIVersions, time.Now())
	if err != nil {
		return err
	}
	for _, log := range logs {
		fmt.Printf("signing with the log at %s, v%d\n", log.URL, log.MajorAPIVersion)
		rekor := sigstore.NewRekor(&sigstore.RekorOptions{BaseURL: log.URL, Version: log.MajorAPIVersion})
		options.TransparencyLogs = append(options.TransparencyLogs, rekor)
	}
	if len(services.TimestampAuthorityURLs()) == 0 {
		return nil
	}
	stamps, err := root.SelectServices(services.TimestampAuthorityURLs(), services.TimestampAuthorityURLsConfig(),
		sigstore.TimestampAuthorityAPIVersions, time.Now())
	for _, stamp := range stamps {
		authority := sigstore.NewTimestampAuthority(&sigstore.TimestampAuthorityOptions{URL: stamp.URL})
		options.TimestampAuthorities = append(options.TimestampAuthorities, authority)
	}
	return err
}

// verifyBundle verifies the bundle of FILE with a trusted root alone.
func verifyBundle(args []string) error {
	flags := flag.NewFlagSet("verify", flag.ExitOnError)
	trusted := flags.String("trusted-root", "", "trusted root")
	from := flags.String("bundle", "", "the bundle")
	key := flags.String("key", "", "public key, PEM, of a bundle without certificate")
	identity := flags.String("identity", "", "expected identity")
	issuer := flags.String("issuer", "", "expected issuer")
	_ = flags.Parse(args)
	content, err := os.ReadFile(flags.Arg(0))
	if err != nil {
		return err
	}
	read, err := bundle.LoadJSONFromPath(*from)
	if err != nil {
		return err
	}
	material, err := trustedMaterial(*trusted, *key)
	if err != nil {
		return err
	}
	// A signature with a key needs no time; one with a certificate needs that of the log or of an authority.
	options := []verify.VerifierOption{verify.WithTransparencyLog(1), verify.WithNoObserverTimestamps()}
	who := verify.WithKey()
	if *key == "" {
		options = []verify.VerifierOption{
			verify.WithTransparencyLog(1), verify.WithObserverTimestamps(1), verify.WithSignedCertificateTimestamps(1),
		}
		expected, err := verify.NewShortCertificateIdentity(*issuer, "", *identity, "")
		if err != nil {
			return err
		}
		who = verify.WithCertificateIdentity(expected)
	}
	verifier, err := verify.NewVerifier(material, options...)
	if err != nil {
		return err
	}
	artifact := verify.WithArtifact(bytes.NewReader(content))
	if _, err := verifier.Verify(read, verify.NewPolicy(artifact, who)); err != nil {
		return err
	}
	entries, err := read.TlogEntries()
	if err != nil {
		return err
	}
	version := 1
	if entries[0].IsRekorV2() {
		version = 2
	}
	fmt.Printf("verified, v%d\n", version)
	return nil
}

func trustedMaterial(path, key string) (root.TrustedMaterial, error) {
	material, err := root.NewTrustedRootFromPath(path)
	if err != nil || key == "" {
		return material, err
	}
	text, err := os.ReadFile(key)
	if err != nil {
		return nil, err
	}
	public, err := cryptoutils.UnmarshalPEMToPublicKey(text)
	return &withKey{material, public}, err
}

// withKey is a trusted root and one key of a signer.
type withKey struct {
	root.TrustedMaterial
	key crypto.PublicKey
}

func (material *withKey) PublicKeyVerifier(string) (root.TimeConstrainedVerifier, error) {
	verifier, err := signature.LoadVerifier(material.key, crypto.SHA256)
	return root.NewExpiringKey(verifier, time.Time{}, time.Time{}), err
}

// keypair is an ECDSA P-256 key out of a file.
type keypair struct{ *ecdsa.PrivateKey }

func readKeypair(path string) (sigstore.Keypair, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("no PEM")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	ecdsaKey, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, errors.New("no ECDSA key")
	}
	return keypair{ecdsaKey}, nil
}

func (k keypair) GetHashAlgorithm() protocommon.HashAlgorithm {
	return protocommon.HashAlgorithm_SHA2_256
}

func (k keypair) GetSigningAlgorithm() protocommon.PublicKeyDetails {
	return protocommon.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256
}

func (k keypair) GetHint() []byte                { return []byte("interop") }
func (k keypair) GetKeyAlgorithm() string        { return "ECDSA" }
func (k keypair) GetPublicKey() crypto.PublicKey { return k.Public() }
func (k keypair) GetPublicKeyPem() (string, error) {
	text, err := cryptoutils.MarshalPublicKeyToPEM(k.Public())
	return string(text), err
}

func (k keypair) SignData(_ context.Context, data []byte) ([]byte, []byte, error) {
	digest := sha256.Sum256(data)
	signed, err := ecdsa.SignASN1(rand.Reader, k.PrivateKey, digest[:])
	return signed, digest[:], err
}
