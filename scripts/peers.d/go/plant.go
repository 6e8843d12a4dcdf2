package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

const issuer = "https://accounts.example"

// authority signs certificates such as Fulcio's: one identity, its issuer, for signing code.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// plant writes one entry for each identity from FIRST to LAST, identity-N@planted.example, and after each one of somebody else.
func plant(args []string) error {
	flags := flag.NewFlagSet("plant", flag.ExitOnError)
	folder := flags.String("authority", "", "folder of the authority's certificate and key, made if they are absent")
	url := flags.String("url", "", "the log")
	api := flags.String("api", "v1", "v1 or v2")
	first := flags.Int("first", 1, "number of the first identity")
	last := flags.Int("last", 0, "number of the last identity")
	_ = flags.Parse(args)
	ca, err := openAuthority(*folder)
	if err != nil {
		return err
	}
	for number := *first; number <= *last; number++ {
		for _, identity := range []string{
			fmt.Sprintf("identity-%d@planted.example", number), fmt.Sprintf("other-%d@elsewhere.example", number),
		} {
			if err := ca.write(*url, *api, identity); err != nil {
				return fmt.Errorf("%s: %w", identity, err)
			}
		}
	}
	return nil
}

func openAuthority(folder string) (*authority, error) {
	certificateFile, keyFile := filepath.Join(folder, "ca.pem"), filepath.Join(folder, "ca.key")
	if _, err := os.Stat(certificateFile); os.IsNotExist(err) {
		if err := makeAuthority(certificateFile, keyFile); err != nil {
			return nil, err
		}
	}
	der, err := readPEM(certificateFile)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	if der, err = readPEM(keyFile); err != nil {
		return nil, err
	}
	key, err := x509.ParseECPrivateKey(der)
	return &authority{certificate, key}, err
}

func makeAuthority(certificateFile, keyFile string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "throw-away authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	if err := os.WriteFile(keyFile, block("EC PRIVATE KEY", private), 0o600); err != nil {
		return err
	}
	return os.WriteFile(certificateFile, block("CERTIFICATE", certificate), 0o600)
}

// write logs a signature by a key that nobody uses again, under a certificate for the identity.
func (ca *authority) write(url, api, identity string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	certificate, err := ca.issue(identity, key)
	if err != nil {
		return err
	}
	digest := sha256.Sum256([]byte(identity + time.Now().String()))
	signature, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		return err
	}
	if api == "v2" {
		return post(url+"/api/v2/log/entries", object{"hashedRekordRequestV002": object{
			"digest": digest[:],
			"signature": object{"content": signature, "verifier": object{
				"x509Certificate": object{"rawBytes": certificate}, "keyDetails": "PKIX_ECDSA_P256_SHA_256",
			}},
		}})
	}
	return post(url+"/api/v1/log/entries", object{"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": object{
		"data":      object{"hash": object{"algorithm": "sha256", "value": hex.EncodeToString(digest[:])}},
		"signature": object{"content": signature, "publicKey": object{"content": block("CERTIFICATE", certificate)}},
	}})
}

func (ca *authority) issue(identity string, key *ecdsa.PrivateKey) ([]byte, error) {
	name, err := asn1.MarshalWithParams(issuer, "utf8")
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial(), EmailAddresses: []string{identity},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(10 * time.Minute),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 8}, Value: name}},
	}
	return x509.CreateCertificate(rand.Reader, template, ca.certificate, key.Public(), ca.key)
}

type object = map[string]any

func post(url string, request any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	client := &http.Client{Timeout: 30 * time.Second}
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
	return nil
}

func serial() *big.Int {
	number, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	return number.Add(number, big.NewInt(1))
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func readPEM(file string) ([]byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	decoded, _ := pem.Decode(text)
	if decoded == nil {
		return nil, fmt.Errorf("%s has no PEM block", file)
	}
	return decoded.Bytes, nil
}
