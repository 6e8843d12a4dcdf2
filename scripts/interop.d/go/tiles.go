package main

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// tiles reads C2SP tlog-tiles, and remembers every full one: it must never change.
type tiles struct {
	url    string
	client *http.Client
	lock   sync.Mutex
	full   map[string][sha256.Size]byte
}

func newTiles(url string) *tiles {
	return &tiles{url: url, client: &http.Client{Timeout: 30 * time.Second}, full: map[string][sha256.Size]byte{}}
}

func (t *tiles) get(path string) ([]byte, error) {
	response, err := t.client.Get(t.url + "/" + path)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, 64<<20))
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", path, response.Status)
	}
	if path == "checkpoint" || strings.Contains(path, ".p/") {
		return data, nil
	}
	if control := response.Header.Get("Cache-Control"); !strings.Contains(control, "immutable") {
		return nil, fmt.Errorf("%s is full, and Cache-Control is %q", path, control)
	}
	t.lock.Lock()
	defer t.lock.Unlock()
	digest := sha256.Sum256(data)
	if before, found := t.full[path]; found && before != digest {
		return nil, fmt.Errorf("%s changed", path)
	}
	t.full[path] = digest
	return data, nil
}

// bundle gives the first `width` entries of a bundle: each behind its length in 16 bits.
func (t *tiles) bundle(n int64, width int) ([][]byte, error) {
	data, err := t.get(tilePath("entries", n, width))
	if err != nil {
		return nil, err
	}
	var entries [][]byte
	for len(data) > 0 {
		if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) {
			return nil, errors.New("a bundle ends within an entry")
		}
		length := int(binary.BigEndian.Uint16(data))
		entries = append(entries, data[2:2+length])
		data = data[2+length:]
	}
	if len(entries) != width {
		return nil, fmt.Errorf("a bundle of %d entries, not %d", len(entries), width)
	}
	return entries, nil
}

// tilePath is `tile/<L>/<N>`, N in groups of three digits, and `.p/<W>` for a part of a tile.
func tilePath(level string, n int64, width int) string {
	path := fmt.Sprintf("%03d", n%1000)
	for n /= 1000; n > 0; n /= 1000 {
		path = fmt.Sprintf("x%03d/%s", n%1000, path)
	}
	if width < 256 {
		path = fmt.Sprintf("%s.p/%d", path, width)
	}
	return "tile/" + level + "/" + path
}

// Height, ReadTiles and SaveTiles make it a tlog.TileReader.
func (t *tiles) Height() int { return 8 }

func (t *tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range wanted {
		data, err := t.get(tilePath(fmt.Sprint(tile.L), tile.N, tile.W))
		if err != nil {
			return nil, err
		}
		if len(data) != tile.W*sha256.Size {
			return nil, fmt.Errorf("a tile of %d bytes, not %d hashes", len(data), tile.W)
		}
		all = append(all, data)
	}
	return all, nil
}

func (t *tiles) SaveTiles([]tlog.Tile, [][]byte) {}
