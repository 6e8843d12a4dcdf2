package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	fnote "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// walk reads the tiles of a ledger's logs while clients write to them, with two libraries that know nothing of each other:
// x/mod's tlog checks each checkpoint against the one before and authenticates the tiles, transparency-dev's compact ranges
// recompute the root of every size that any answer or checkpoint showed. Entry bundles must hash to the leaves. Full tiles and
// bundles must never change, and partial tiles of published sizes must stay readable.
func walk(args []string) error {
	flags := flag.NewFlagSet("walk", flag.ExitOnError)
	url := flags.String("url", "", "the server")
	vkeys := flags.String("vkeys", "", "file with the vkey of the checkpoints of each log in a line")
	clients := flags.Int("clients", 32, "clients that write at once")
	each := flags.Int("each", 60, "entries of each client")
	_ = flags.Parse(args)
	ofV1, ofV2 := newHeads(), newHeads()
	walkers, err := newWalkers(*url, *vkeys, ofV1, ofV2)
	if err != nil {
		return err
	}
	writers := startWriters(*url, *clients, *each, ofV1, ofV2)
	begin, rounds := time.Now(), 0
	for running := true; running; rounds++ {
		select {
		case err := <-writers:
			if err != nil {
				return err
			}
			running = false
		default:
		}
		// After the writers ended, once more: all of theirs must be there.
		for _, w := range walkers {
			if err := w.follow(); err != nil {
				return fmt.Errorf("%s: %w", w.verifier.Name(), err)
			}
		}
	}
	for _, w := range walkers {
		if err := errors.Join(w.recompute(), w.again()); err != nil {
			return fmt.Errorf("%s: %w", w.verifier.Name(), err)
		}
		fmt.Printf("%s: %d entries by %d clients in %.1f s; %d checkpoints walked, %d published roots recomputed, %d full tiles and bundles unchanged, %d partial tiles read again\n",
			w.verifier.Name(), len(w.leaves), *clients, time.Since(begin).Seconds(), rounds, len(w.heads.roots), len(w.tiles.full), w.partials)
	}
	return nil
}

type walker struct {
	tiles    *tiles
	verifier note.Verifier
	heads    *heads
	tree     tlog.Tree
	leaves   []tlog.Hash
	partials int
}

// newWalkers makes a walker for each vkey. The name of a key of v1 has the path below which its tree is read.
func newWalkers(url, vkeys string, ofV1, ofV2 *heads) ([]*walker, error) {
	text, err := os.ReadFile(vkeys)
	if err != nil {
		return nil, err
	}
	var walkers []*walker
	for line := range strings.Lines(string(text)) {
		verifier, err := fnote.NewVerifier(strings.TrimSpace(line))
		if err != nil {
			return nil, err
		}
		w := &walker{tiles: newTiles(url), verifier: verifier, heads: ofV2}
		if _, path, isV1 := strings.Cut(verifier.Name(), "/"); isV1 {
			w.tiles, w.heads = newTiles(url+"/"+path), ofV1
		}
		walkers = append(walkers, w)
	}
	if len(walkers) != 2 {
		return nil, fmt.Errorf("%d logs, not 2", len(walkers))
	}
	return walkers, nil
}

// follow reads the newest checkpoint and everything up to it.
func (w *walker) follow() error {
	text, err := w.tiles.get("checkpoint")
	if err != nil {
		return err
	}
	opened, err := note.Open(text, note.VerifierList(w.verifier))
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	lines := strings.SplitN(opened.Text, "\n", 2)
	if lines[0] != w.verifier.Name() {
		return fmt.Errorf("a checkpoint of %q by %q", lines[0], w.verifier.Name())
	}
	// Go's own checkpoints have another first line.
	tree, err := tlog.ParseTree([]byte("go.sum database tree\n" + lines[1]))
	if err != nil {
		return err
	}
	if err := w.heads.add(uint64(tree.N), tree.Hash[:]); err != nil {
		return err
	}
	if tree.N < w.tree.N {
		return fmt.Errorf("the log shrank from %d to %d", w.tree.N, tree.N)
	}
	if tree.N == 0 {
		return nil
	}
	reader := tlog.TileHashReader(tree, w.tiles)
	if w.tree.N > 0 {
		proof, err := tlog.ProveTree(tree.N, w.tree.N, reader)
		if err != nil {
			return err
		}
		if err := tlog.CheckTree(proof, tree.N, tree.Hash, w.tree.N, w.tree.Hash); err != nil {
			return fmt.Errorf("from %d to %d: %w", w.tree.N, tree.N, err)
		}
	}
	w.tree = tree
	return w.readLeaves(reader)
}

// readLeaves reads the leaves that are new, as hashes from tiles and as entries from bundles.
func (w *walker) readLeaves(reader tlog.HashReader) error {
	var indexes []int64
	for index := int64(len(w.leaves)); index < w.tree.N; index++ {
		indexes = append(indexes, tlog.StoredHashIndex(0, index))
	}
	if len(indexes) == 0 {
		return nil
	}
	hashes, err := reader.ReadHashes(indexes)
	if err != nil {
		return err
	}
	first := len(w.leaves)
	w.leaves = append(w.leaves, hashes...)
	for n := int64(first) / 256; n*256 < w.tree.N; n++ {
		entries, err := w.tiles.bundle(n, int(min(256, w.tree.N-n*256)))
		if err != nil {
			return err
		}
		for i, entry := range entries {
			if tlog.RecordHash(entry) != w.leaves[n*256+int64(i)] {
				return fmt.Errorf("entry %d does not have its leaf hash", n*256+int64(i))
			}
		}
	}
	return nil
}

// recompute compares the root of every published size with the leaves.
func (w *walker) recompute() error {
	factory := compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
	all := factory.NewEmptyRange(0)
	for i := range w.leaves {
		if err := all.Append(w.leaves[i][:], nil); err != nil {
			return err
		}
		published, found := w.heads.roots[uint64(i+1)]
		if !found {
			continue
		}
		root, err := all.GetRootHash(nil)
		if err != nil {
			return err
		}
		if !bytes.Equal(root, published) {
			return fmt.Errorf("the root of size %d is %x, published was %x", i+1, root, published)
		}
	}
	for size := range w.heads.roots {
		if size > uint64(len(w.leaves)) {
			return fmt.Errorf("size %d was published, the log has %d entries", size, len(w.leaves))
		}
	}
	return nil
}

// again reads all full tiles and bundles once more, and the partial ones of up to a hundred sizes that were published.
func (w *walker) again() error {
	for path := range maps.Clone(w.tiles.full) {
		if _, err := w.tiles.get(path); err != nil {
			return err
		}
	}
	sizes := slices.Sorted(maps.Keys(w.heads.roots))
	for i := 0; i < len(sizes); i += 1 + len(sizes)/100 {
		size := sizes[i]
		if size%256 == 0 {
			continue
		}
		n, width := int64(size/256), int(size%256)
		data, err := w.tiles.get(tilePath("0", n, width))
		if err != nil {
			return fmt.Errorf("the partial tile of size %d: %w", size, err)
		}
		if len(data) != width*sha256.Size || !bytes.HasPrefix(data, w.leaves[n*256][:]) {
			return fmt.Errorf("the partial tile of size %d holds other hashes", size)
		}
		if _, err := w.tiles.bundle(n, width); err != nil {
			return fmt.Errorf("the partial bundle of size %d: %w", size, err)
		}
		w.partials++
	}
	if len(w.tiles.full) == 0 {
		return errors.New("no tile became full")
	}
	return nil
}
