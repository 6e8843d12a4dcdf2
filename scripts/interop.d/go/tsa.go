package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net/http"
	"strings"
	"time"

	"github.com/digitorus/timestamp"
)

// timestampAuthority dates hashes as RFC 3161 says. It takes the JSON form of Sigstore's own authority too: sigstore-js sends it.
type timestampAuthority struct {
	key  *ecdsa.PrivateKey
	leaf *x509.Certificate
	root *x509.Certificate
}

func newTimestampAuthority() (*timestampAuthority, error) {
	rootKey, err := newKey()
	if err != nil {
		return nil, err
	}
	root, err := newAuthority("interop time root", nil, rootKey, nil, rootKey)
	if err != nil {
		return nil, err
	}
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	// RFC 3161 section 2.3: this usage alone, and critical.
	usage, err := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}})
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: newSerial(), Subject: pkix.Name{Organization: []string{"interop"}, CommonName: "interop time"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(23 * time.Hour),
		KeyUsage:        x509.KeyUsageDigitalSignature,
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: usage}},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, root, key.Public(), rootKey)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	return &timestampAuthority{key, leaf, root}, err
}

func (tsa *timestampAuthority) chain() []*pem.Block {
	return []*pem.Block{certificateBlock(tsa.leaf), certificateBlock(tsa.root)}
}

func (tsa *timestampAuthority) stamp(w http.ResponseWriter, r *http.Request) {
	response, err := tsa.answer(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/timestamp-reply")
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(response)
}

func (tsa *timestampAuthority) answer(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	request := &timestamp.Request{}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		err = readJSON(body, request)
	} else {
		request, err = timestamp.ParseRequest(body)
	}
	if err != nil {
		return nil, err
	}
	stamp := timestamp.Timestamp{
		HashAlgorithm: request.HashAlgorithm, HashedMessage: request.HashedMessage, Nonce: request.Nonce,
		Time: time.Now().UTC(), SerialNumber: newSerial(), Policy: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 2},
		// The authority alone: its root would have to be sorted in, as DER asks (sigstore-python checks), which the library does not do.
		AddTSACertificate: request.Certificates,
	}
	return stamp.CreateResponseWithOpts(tsa.leaf, tsa.key, crypto.SHA256)
}

func readJSON(body []byte, request *timestamp.Request) error {
	var given struct {
		ArtifactHash  []byte   `json:"artifactHash"`
		HashAlgorithm string   `json:"hashAlgorithm"`
		Certificates  bool     `json:"certificates"`
		Nonce         *big.Int `json:"nonce"`
	}
	if err := json.Unmarshal(body, &given); err != nil {
		return err
	}
	if given.HashAlgorithm != "sha256" || len(given.ArtifactHash) != crypto.SHA256.Size() {
		return errors.New("only SHA-256")
	}
	request.HashAlgorithm, request.HashedMessage = crypto.SHA256, given.ArtifactHash
	request.Certificates, request.Nonce = given.Certificates, given.Nonce
	return nil
}
