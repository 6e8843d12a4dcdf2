package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// repository is a TUF repository whose four top roles have one key (TUF 1.0, without consistent snapshots).
type repository struct {
	folder  string
	key     ed25519.PrivateKey
	version int
}

// publish makes the repository in FOLDER, or its next version, with the FILEs and no other targets.
func publish(args []string) error {
	if len(args) < 2 {
		return errors.New("a folder and files expected")
	}
	repository, err := openRepository(args[0])
	if err != nil {
		return err
	}
	targets := object{}
	for _, file := range args[1:] {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(args[0], "targets", filepath.Base(file)), content, 0o644); err != nil {
			return err
		}
		sum := sha256.Sum256(content)
		targets[filepath.Base(file)] = object{"length": len(content), "hashes": object{"sha256": hex.EncodeToString(sum[:])}}
	}
	meta := func(file string) object { return object{file: object{"version": repository.version}} }
	for _, step := range []struct {
		role   string
		fields object
	}{
		{"targets", object{"targets": targets}},
		{"snapshot", object{"meta": meta("targets.json")}},
		{"timestamp", object{"meta": meta("snapshot.json")}},
	} {
		if err := repository.sign(step.role, repository.version, step.fields); err != nil {
			return err
		}
	}
	return nil
}

func openRepository(folder string) (*repository, error) {
	keyFile := filepath.Join(folder, "key")
	seed, err := os.ReadFile(keyFile)
	if err == nil {
		var before struct{ Signed struct{ Version int } }
		text, err := os.ReadFile(filepath.Join(folder, "timestamp.json"))
		if err != nil {
			return nil, err
		}
		err = json.Unmarshal(text, &before)
		return &repository{folder, ed25519.NewKeyFromSeed(seed), before.Signed.Version + 1}, err
	}
	if err := os.MkdirAll(filepath.Join(folder, "targets"), 0o755); err != nil {
		return nil, err
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(keyFile, key.Seed(), 0o600); err != nil {
		return nil, err
	}
	made := &repository{folder, key, 1}
	id, description := made.describeKey()
	roles := object{}
	for _, role := range []string{"root", "targets", "snapshot", "timestamp"} {
		roles[role] = object{"keyids": []string{id}, "threshold": 1}
	}
	return made, made.sign("root", 1, object{
		"consistent_snapshot": false, "keys": object{id: description}, "roles": roles,
	})
}

// describeKey returns the key's ID, which is the hash of its description, and the description.
func (r *repository) describeKey() (string, object) {
	public := hex.EncodeToString(r.key.Public().(ed25519.PublicKey))
	description := object{"keytype": "ed25519", "scheme": "ed25519", "keyval": object{"public": public}}
	sum := sha256.Sum256(canonical(description))
	return hex.EncodeToString(sum[:]), description
}

func (r *repository) sign(role string, version int, fields object) error {
	fields["_type"], fields["spec_version"], fields["version"] = role, "1.0.31", version
	fields["expires"] = time.Now().Add(24 * time.Hour).UTC().Format("2006-01-02T15:04:05Z")
	id, _ := r.describeKey()
	signature := hex.EncodeToString(ed25519.Sign(r.key, canonical(fields)))
	document := object{"signed": fields, "signatures": []object{{"keyid": id, "sig": signature}}}
	return os.WriteFile(filepath.Join(r.folder, fmt.Sprintf("%s.json", role)), canonical(document), 0o644)
}

// canonical returns the canonical JSON of a document that has no text but plain ASCII: keys in order, no space.
func canonical(document object) []byte {
	text, _ := json.Marshal(document)
	return text
}
