package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// identityProvider signs tokens for two made-up identities: a person, and a workflow with the claims of GitHub Actions.
// By RSA, as most do: cosign takes any other token for the name of a file.
type identityProvider struct {
	key    *rsa.PrivateKey
	issuer string
}

func newIdentityProvider(issuer string) (*identityProvider, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	return &identityProvider{key, issuer}, err
}

type claims struct {
	Issuer        string `json:"iss"`
	Audience      string `json:"aud"`
	Subject       string `json:"sub"`
	Issued        int64  `json:"iat"`
	Expires       int64  `json:"exp"`
	Email         string `json:"email,omitempty"`
	EmailVerified bool   `json:"email_verified,omitempty"`
	// Of GitHub Actions.
	WorkflowRef string `json:"workflow_ref,omitempty"`
	Repository  string `json:"repository,omitempty"`
	Ref         string `json:"ref,omitempty"`
	Sha         string `json:"sha,omitempty"`
	EventName   string `json:"event_name,omitempty"`
	RunID       string `json:"run_id,omitempty"`
}

func (p *identityProvider) token(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	c := claims{Issuer: p.issuer, Audience: "sigstore", Issued: now.Unix(), Expires: now.Add(10 * time.Minute).Unix()}
	switch r.PathValue("identity") {
	case "email":
		c.Subject, c.Email, c.EmailVerified = "person-1", "dev@interop.example", true
	case "github":
		c.Subject = "repo:acme/widget:ref:refs/heads/main"
		c.Repository, c.Ref, c.Sha = "acme/widget", "refs/heads/main", strings.Repeat("c0ffee00", 5)
		c.WorkflowRef, c.EventName, c.RunID = "acme/widget/.github/workflows/release.yml@refs/heads/main", "push", "4711"
	default:
		http.NotFound(w, r)
		return
	}
	token, err := p.sign(c)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprint(w, token)
}

func (p *identityProvider) sign(c claims) (string, error) {
	payload, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + encode(payload)
	digest := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, p.key, crypto.SHA256, digest[:])
	return text + "." + encode(signature), err
}

// check reads a token and verifies that it is one of ours.
func (p *identityProvider) check(token string) (claims, error) {
	var c claims
	text, encoded, _ := cutLast(token, ".")
	signature, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return c, err
	}
	digest := sha256.Sum256([]byte(text))
	if err := rsa.VerifyPKCS1v15(&p.key.PublicKey, crypto.SHA256, digest[:], signature); err != nil {
		return c, errors.New("a token of somebody else")
	}
	_, encoded, _ = strings.Cut(text, ".")
	payload, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(payload, &c); err != nil {
		return c, err
	}
	if time.Now().Unix() > c.Expires {
		return c, errors.New("the token has expired")
	}
	return c, nil
}

func cutLast(text, separator string) (before, after string, found bool) {
	at := strings.LastIndex(text, separator)
	if at < 0 {
		return text, "", false
	}
	return text[:at], text[at+len(separator):], true
}
