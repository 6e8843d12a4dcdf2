package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
)

// certificateAuthority issues what Fulcio issues: ten minutes, no subject, one identity, Fulcio's extensions, and the
// signed certificate timestamp of a transparency log (RFC 6962), which here is only its key.
type certificateAuthority struct {
	identities         *identityProvider
	root, intermediate *x509.Certificate
	key, ctKey         *ecdsa.PrivateKey
	ctKeySPKI          []byte
}

func newCertificateAuthority(identities *identityProvider) (*certificateAuthority, error) {
	rootKey, err := newKey()
	if err != nil {
		return nil, err
	}
	root, err := newAuthority("interop root", nil, rootKey, nil, rootKey)
	if err != nil {
		return nil, err
	}
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	intermediate, err := newAuthority("interop intermediate", []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}, key, root, rootKey)
	if err != nil {
		return nil, err
	}
	ctKey, err := newKey()
	if err != nil {
		return nil, err
	}
	spki, err := x509.MarshalPKIXPublicKey(ctKey.Public())
	return &certificateAuthority{identities, root, intermediate, key, ctKey, spki}, err
}

func (ca *certificateAuthority) chain() []*pem.Block {
	return []*pem.Block{certificateBlock(ca.intermediate), certificateBlock(ca.root)}
}

func (ca *certificateAuthority) logKey() *pem.Block {
	return &pem.Block{Type: "PUBLIC KEY", Bytes: ca.ctKeySPKI}
}

// Both forms of Fulcio's request: a key with a proof of possession, or a certificate signing request.
type signingRequest struct {
	Credentials struct {
		Token string `json:"oidcIdentityToken"`
	} `json:"credentials"`
	Key *keyRequest `json:"publicKeyRequest"`
	CSR []byte      `json:"certificateSigningRequest"`
}

type keyRequest struct {
	PublicKey struct {
		Content string `json:"content"`
	} `json:"publicKey"`
	Proof []byte `json:"proofOfPossession"`
}

func (ca *certificateAuthority) issue(w http.ResponseWriter, r *http.Request) {
	chain, err := ca.answer(r)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]any{"code": 3, "message": err.Error()})
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"signedCertificateEmbeddedSct": map[string]any{"chain": map[string]any{"certificates": chain}},
	})
}

// issueLegacy answers the first form of Fulcio's API, which gitsign uses: a key in DER, and the chain as PEM.
func (ca *certificateAuthority) issueLegacy(w http.ResponseWriter, r *http.Request) {
	var legacy struct {
		PublicKey struct {
			Content []byte `json:"content"`
		} `json:"publicKey"`
		Proof []byte `json:"signedEmailAddress"`
	}
	err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, 1<<20)).Decode(&legacy)
	var chain []string
	if err == nil {
		request := signingRequest{Key: &keyRequest{Proof: legacy.Proof}}
		request.Key.PublicKey.Content = string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: legacy.PublicKey.Content}))
		chain, err = ca.issueFor(request, r)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/pem-certificate-chain")
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write([]byte(strings.Join(chain, "")))
}

func (ca *certificateAuthority) answer(r *http.Request) ([]string, error) {
	var request signingRequest
	if err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, 1<<20)).Decode(&request); err != nil {
		return nil, err
	}
	return ca.issueFor(request, r)
}

func (ca *certificateAuthority) issueFor(request signingRequest, r *http.Request) ([]string, error) {
	token := request.Credentials.Token
	if bearer, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); found {
		token = bearer
	}
	who, err := ca.identities.check(token)
	if err != nil {
		return nil, err
	}
	key, err := request.publicKey(who)
	if err != nil {
		return nil, err
	}
	leaf, err := ca.certificate(who, key)
	if err != nil {
		return nil, err
	}
	chain := []string{string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf}))}
	for _, block := range ca.chain() {
		chain = append(chain, string(pem.EncodeToMemory(block)))
	}
	return chain, nil
}

// publicKey is the client's key, after the client has shown that it holds the other half.
func (request *signingRequest) publicKey(who claims) (crypto.PublicKey, error) {
	if request.Key == nil {
		block, _ := pem.Decode(request.CSR)
		if block == nil {
			return nil, errors.New("neither a key nor a certificate signing request")
		}
		csr, err := x509.ParseCertificateRequest(block.Bytes)
		if err != nil {
			return nil, err
		}
		return csr.PublicKey, csr.CheckSignature()
	}
	key, err := cryptoutils.UnmarshalPEMToPublicKey([]byte(request.Key.PublicKey.Content))
	if err != nil {
		return nil, err
	}
	verifier, err := signature.LoadVerifier(key, crypto.SHA256)
	if err != nil {
		return nil, err
	}
	subject := who.Subject
	if who.Email != "" {
		subject = who.Email
	}
	return key, verifier.VerifySignature(strings.NewReader(string(request.Key.Proof)), strings.NewReader(subject))
}

func (ca *certificateAuthority) certificate(who claims, key crypto.PublicKey) ([]byte, error) {
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: newSerial(),
		NotBefore:    now.Add(-time.Second), NotAfter: now.Add(10 * time.Minute),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	}
	if who.Email != "" {
		template.EmailAddresses = []string{who.Email}
	} else {
		uri, err := url.Parse("https://github.com/" + who.WorkflowRef)
		if err != nil {
			return nil, err
		}
		template.URIs = []*url.URL{uri}
	}
	if err := addExtensions(template, who); err != nil {
		return nil, err
	}
	// What the log signs is this certificate without the list of its signatures (RFC 6962 section 3.2).
	bare, err := x509.CreateCertificate(rand.Reader, template, ca.intermediate, key, ca.key)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParseCertificate(bare)
	if err != nil {
		return nil, err
	}
	list, err := ca.timestampList(parsed.RawTBSCertificate, now)
	if err != nil {
		return nil, err
	}
	template.ExtraExtensions = append(template.ExtraExtensions, list)
	return x509.CreateCertificate(rand.Reader, template, ca.intermediate, key, ca.key)
}

// addExtensions adds those of Fulcio (1.3.6.1.4.1.57264.1.n): up to 6 the value as it is, from 8 on a DER UTF8String.
func addExtensions(template *x509.Certificate, who claims) error {
	values := map[int]string{1: who.Issuer, 8: who.Issuer, 24: who.Subject}
	if who.Repository != "" {
		repository := "https://github.com/" + who.Repository
		owner, _, _ := strings.Cut(repository[len("https://github.com/"):], "/")
		for number, value := range map[int]string{
			2: who.EventName, 3: who.Sha, 4: "release", 5: who.Repository, 6: who.Ref,
			9: "https://github.com/" + who.WorkflowRef, 10: who.Sha, 11: "github-hosted", 12: repository, 13: who.Sha,
			14: who.Ref, 15: "1", 16: "https://github.com/" + owner, 17: "2", 18: "https://github.com/" + who.WorkflowRef,
			19: who.Sha, 20: who.EventName, 21: repository + "/actions/runs/" + who.RunID + "/attempts/1", 22: "private",
		} {
			values[number] = value
		}
	}
	for number := 1; number <= 24; number++ {
		text, found := values[number]
		if !found {
			continue
		}
		value := []byte(text)
		if number >= 8 {
			der, err := asn1.MarshalWithParams(text, "utf8")
			if err != nil {
				return err
			}
			value = der
		}
		id := asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, number}
		template.ExtraExtensions = append(template.ExtraExtensions, pkix.Extension{Id: id, Value: value})
	}
	return nil
}

// timestampList is the extension with one signed certificate timestamp (RFC 6962 sections 3.2 and 3.3).
func (ca *certificateAuthority) timestampList(tbs []byte, now time.Time) (pkix.Extension, error) {
	millis := uint64(now.UnixMilli())
	issuer := sha256.Sum256(ca.intermediate.RawSubjectPublicKeyInfo)
	signed := binary.BigEndian.AppendUint64([]byte{0, 0}, millis) // version 1, certificate timestamp
	signed = binary.BigEndian.AppendUint16(signed, 1)             // of a precertificate
	signed = append(signed, issuer[:]...)
	signed = append(signed, byte(len(tbs)>>16), byte(len(tbs)>>8), byte(len(tbs)))
	signed = append(append(signed, tbs...), 0, 0) // no extensions
	digest := sha256.Sum256(signed)
	signature, err := ecdsa.SignASN1(rand.Reader, ca.ctKey, digest[:])
	if err != nil {
		return pkix.Extension{}, err
	}
	log := sha256.Sum256(ca.ctKeySPKI)
	sct := binary.BigEndian.AppendUint64(append([]byte{0}, log[:]...), millis)
	sct = append(sct, 0, 0, 4, 3) // no extensions; SHA-256, ECDSA
	sct = append(binary.BigEndian.AppendUint16(sct, uint16(len(signature))), signature...)
	list := binary.BigEndian.AppendUint16(nil, uint16(len(sct)+2))
	list = append(binary.BigEndian.AppendUint16(list, uint16(len(sct))), sct...)
	value, err := asn1.Marshal(list)
	return pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}, Value: value}, err
}

// newAuthority is a certificate that may sign others; one without parent signs itself.
func newAuthority(name string, usage []x509.ExtKeyUsage, key *ecdsa.PrivateKey, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*x509.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber: newSerial(), Subject: pkix.Name{Organization: []string{"interop"}, CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, ExtKeyUsage: usage,
		BasicConstraintsValid: true, IsCA: true,
	}
	if parent == nil {
		parent = template
	} else {
		template.MaxPathLenZero = true
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func newKey() (*ecdsa.PrivateKey, error) {
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

func newSerial() *big.Int {
	bytes := make([]byte, 19)
	_, _ = rand.Read(bytes) // Go ends the program where there is no randomness.
	return new(big.Int).SetBytes(bytes)
}

func certificateBlock(certificate *x509.Certificate) *pem.Block {
	return &pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}
}
