//! The requests of a run: which is next, and its bytes.

use std::io::Write;
use std::sync::Arc;

use client::v1::HeadV1;
use tlog::{TileId, TilePath, TileResource};

use crate::connection::Target;
use crate::known::{Known, KnownEntry};
use crate::proposal::{Proposals, append_hex};
use crate::random::{Random, Skew};
use crate::work::{Mix, Work};

/// One request, by what it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// To log this proposal by v1.
    WriteV1(usize),
    /// To log this proposal by v2.
    WriteV2(usize),
    /// To log `count` proposals.
    Batch {
        /// The first of them.
        first: usize,
        /// The number of them.
        count: usize,
    },
    /// The entry at this log index.
    EntryByIndex(u64),
    /// An entry of [`Known::entries`] by its ID.
    EntryByUuid(usize),
    /// An entry of [`Known::entries`] by its leaf hash.
    EntryByHash(usize),
    /// The proof from this size to that of [`Known::v1`].
    Consistency(u64),
    /// The tree head of v1.
    TreeHead,
    /// The checkpoint of v2.
    Checkpoint,
    /// The full level-0 tile with this index.
    Tile(u64),
    /// The full bundle with this index.
    EntriesBundle(u64),
    /// The IDs of entries about the artifact of one of [`Known::entries`].
    Search(usize),
}

impl Ask {
    /// The status of a good answer.
    pub(crate) fn good_status(self) -> u16 {
        match self {
            Self::WriteV1(_) | Self::WriteV2(_) => 201,
            _ => 200,
        }
    }

    /// Returns the number that it counts for: the entries of a batch, else one.
    pub(crate) fn count(self) -> usize {
        if let Self::Batch { count, .. } = self {
            count
        } else {
            1
        }
    }
}

/// Makes the requests of a work.
pub(crate) struct Source {
    /// The work.
    pub(crate) mix: Mix,
    /// The part of the log's content to ask for.
    pub(crate) skew: Skew,
    /// Entries in a batch.
    pub(crate) batch: usize,
    /// The path before `/checkpoint` and `/tile/…`.
    pub(crate) tiles_prefix: String,
    /// The log.
    pub(crate) target: Target,
    /// The log.
    pub(crate) known: Arc<Known>,
    /// The entries to log.
    pub(crate) proposals: Arc<Proposals>,
}

impl Source {
    /// Chooses a request, and says which part of the mix it belongs to. `None`: the proposals are
    /// used up.
    pub(crate) fn choose(&self, random: &mut Random) -> Option<(usize, Ask)> {
        let (part, work) = self.mix.pick(random);
        let mut known_entry = || self.skew.pick(self.known.entries.len() as u64, random) as usize;
        let ask = match work {
            Work::WriteV1 => Ask::WriteV1(self.proposals.take(1)?),
            Work::WriteV2 => Ask::WriteV2(self.proposals.take(1)?),
            Work::Batch => Ask::Batch {
                first: self.proposals.take(self.batch)?,
                count: self.batch,
            },
            Work::EntryByUuid => Ask::EntryByUuid(known_entry()),
            Work::EntryByHash => Ask::EntryByHash(known_entry()),
            Work::Search => Ask::Search(known_entry()),
            Work::EntryByIndex => {
                let head = self.head();
                Ask::EntryByIndex(head.first_log_index + self.skew.pick(head.size.0, random))
            }
            Work::Consistency => Ask::Consistency(self.first_size(random)),
            Work::TreeHead => Ask::TreeHead,
            Work::Checkpoint => Ask::Checkpoint,
            Work::Tile => Ask::Tile(self.skew.pick(self.known.full_tiles(), random)),
            Work::EntriesBundle => {
                Ask::EntriesBundle(self.skew.pick(self.known.full_tiles(), random))
            }
        };
        Some((part, ask))
    }

    /// Below the size of the head, and no power of two: from such a proof the root of the smaller
    /// tree follows, so that its verification needs no second request.
    fn first_size(&self, random: &mut Random) -> u64 {
        loop {
            let size = self.skew.pick(self.head().size.0, random);
            if size > 0 && !size.is_power_of_two() {
                return size;
            }
        }
    }

    /// Writes the request into `request`, over what was there. `body` is space to work in.
    pub(crate) fn write(&self, ask: Ask, request: &mut Vec<u8>, body: &mut Vec<u8>) {
        request.clear();
        body.clear();
        match ask {
            Ask::WriteV1(number) => {
                self.proposals.write_v1(number, body);
                self.post("/api/v1/log/entries", body, request);
            }
            Ask::WriteV2(number) => {
                self.proposals.write_v2(number, body);
                self.post("/api/v2/log/entries", body, request);
            }
            Ask::Batch { first, count } => {
                body.extend_from_slice(br#"{"entries":["#);
                for number in first..first + count {
                    if number > first {
                        body.push(b',');
                    }
                    self.proposals.write_v1(number, body);
                }
                body.extend_from_slice(b"]}");
                self.post("/api/v1/log/entries/batch", body, request);
            }
            Ask::Search(number) => {
                body.extend_from_slice(br#"{"hash":"sha256:"#);
                // Unwrap safety: Known::check refuses a search where an entry has no artifact.
                append_hex(
                    &self.entry(number).artifact.unwrap_or(tlog::EMPTY_ROOT).0,
                    body,
                );
                body.extend_from_slice(br#""}"#);
                self.post("/api/v1/index/retrieve", body, request);
            }
            Ask::EntryByIndex(index) => self.get(
                request,
                format_args!("/api/v1/log/entries?logIndex={index}"),
            ),
            Ask::EntryByUuid(number) => {
                self.get(
                    request,
                    format_args!("/api/v1/log/entries/{}", self.entry(number).uuid),
                );
            }
            Ask::EntryByHash(number) => {
                self.get(
                    request,
                    format_args!("/api/v1/log/entries/{}", self.entry(number).leaf_hash()),
                );
            }
            Ask::Consistency(first) => {
                let last = self.head().size;
                self.get(
                    request,
                    format_args!("/api/v1/log/proof?firstSize={first}&lastSize={last}"),
                );
            }
            Ask::TreeHead => self.get(request, format_args!("/api/v1/log")),
            Ask::Checkpoint => self.get(request, format_args!("{}/checkpoint", self.tiles_prefix)),
            Ask::Tile(index) => {
                self.get_tile(TileResource::Tile(TileId { level: 0, index }), request)
            }
            Ask::EntriesBundle(index) => self.get_tile(TileResource::Entries(index), request),
        }
    }

    fn get_tile(&self, resource: TileResource, request: &mut Vec<u8>) {
        let path = TilePath {
            resource,
            partial: None,
        };
        self.get(request, format_args!("{}/{path}", self.tiles_prefix));
    }

    fn get(&self, request: &mut Vec<u8>, path: std::fmt::Arguments<'_>) {
        let host = &self.target.host;
        // Unwrap safety: a Vec takes all that is written.
        #[expect(clippy::unwrap_used, reason = "see above")]
        write!(
            request,
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\n\r\n"
        )
        .unwrap();
    }

    fn post(&self, path: &str, body: &[u8], request: &mut Vec<u8>) {
        let (host, length) = (&self.target.host, body.len());
        let head = "Accept: application/json\r\nContent-Type: application/json";
        // Unwrap safety: a Vec takes all that is written.
        #[expect(clippy::unwrap_used, reason = "see above")]
        write!(
            request,
            "POST {path} HTTP/1.1\r\nHost: {host}\r\n{head}\r\nContent-Length: {length}\r\n\r\n"
        )
        .unwrap();
        request.extend_from_slice(body);
    }

    fn head(&self) -> &HeadV1 {
        // Unwrap safety: Survey::take asks for it if any work says that it reads by v1.
        #[expect(clippy::unwrap_used, reason = "see above")]
        self.known.v1.as_ref().unwrap()
    }

    fn entry(&self, number: usize) -> &KnownEntry {
        &self.known.entries[number]
    }
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;
    use tlog::{Checkpoint, Hash, SigningKey, TreeSize};

    use super::*;
    use client::LogKey;

    fn source(mix: &str) -> Source {
        let rng = SystemRandom::new();
        let key =
            SigningKey::from_pkcs8(&SigningKey::generate_p256_pkcs8(&rng).unwrap(), &rng).unwrap();
        let uuid = format!("{:016x}{:064x}", 7, 9);
        let key = LogKey::new(key.verifying_key().clone());
        let known = Known {
            v2_key: key.clone(),
            key,
            v1: Some(HeadV1 {
                first_log_index: 40,
                size: TreeSize(1000),
                root: Hash([0; 32]),
            }),
            tiles: Some(Checkpoint::new(
                "log.example",
                TreeSize(1000),
                Hash([0; 32]),
            )),
            entries: vec![KnownEntry {
                log_index: 40,
                uuid,
                artifact: Some(Hash([1; 32])),
            }],
        };
        Source {
            mix: mix.parse().unwrap(),
            skew: Skew::Uniform,
            batch: 2,
            tiles_prefix: "/api/v2".into(),
            target: Target::new(&"http://localhost:1".parse().unwrap()).unwrap(),
            known: Arc::new(known),
            proposals: Arc::new(Proposals::sign(4).unwrap()),
        }
    }

    #[test]
    fn requests_are_whole() {
        let source = source("tile");
        let (mut request, mut body) = (b"old".to_vec(), b"old".to_vec());
        for (ask, line) in [
            (Ask::WriteV1(0), "POST /api/v1/log/entries".to_owned()),
            (Ask::WriteV2(0), "POST /api/v2/log/entries".into()),
            (
                Ask::Batch { first: 1, count: 2 },
                "POST /api/v1/log/entries/batch".into(),
            ),
            (Ask::Search(0), "POST /api/v1/index/retrieve".into()),
            (
                Ask::EntryByIndex(1039),
                "GET /api/v1/log/entries?logIndex=1039".into(),
            ),
            (
                Ask::EntryByUuid(0),
                format!("GET /api/v1/log/entries/{:016x}{:064x}", 7, 9),
            ),
            (
                Ask::EntryByHash(0),
                format!("GET /api/v1/log/entries/{:064x}", 9),
            ),
            (
                Ask::Consistency(3),
                "GET /api/v1/log/proof?firstSize=3&lastSize=1000".into(),
            ),
            (Ask::TreeHead, "GET /api/v1/log".into()),
            (Ask::Checkpoint, "GET /api/v2/checkpoint".into()),
            (Ask::Tile(1234), "GET /api/v2/tile/0/x001/234".into()),
            (Ask::EntriesBundle(2), "GET /api/v2/tile/entries/002".into()),
        ] {
            source.write(ask, &mut request, &mut body);
            let mut headers = [httparse::EMPTY_HEADER; 8];
            let mut parsed = httparse::Request::new(&mut headers);
            let head = parsed.parse(&request).unwrap().unwrap();
            assert_eq!(
                format!("{} {}", parsed.method.unwrap(), parsed.path.unwrap()),
                line
            );
            let length = parsed
                .headers
                .iter()
                .find(|header| header.name == "Content-Length");
            let length = length.map_or(0, |header| {
                std::str::from_utf8(header.value).unwrap().parse().unwrap()
            });
            assert_eq!(request.len() - head, length);
            if length > 0 {
                let json: serde_json::Value = serde_json::from_slice(&request[head..]).unwrap();
                assert!(json.is_object(), "{json}");
            }
        }
    }

    #[test]
    fn choices_are_within_the_log() {
        let source = source(
            "entry-by-index,consistency,tile,entries-bundle,search,entry-by-uuid,entry-by-hash",
        );
        let mut random = Random::new(5);
        for _ in 0..10_000 {
            let (part, ask) = source.choose(&mut random).unwrap();
            let expected = match ask {
                Ask::EntryByIndex(40..1040) => 0,
                Ask::Consistency(size @ 3..1000) if !size.is_power_of_two() => 1,
                Ask::Tile(0..3) => 2,
                Ask::EntriesBundle(0..3) => 3,
                Ask::Search(0) => 4,
                Ask::EntryByUuid(0) => 5,
                Ask::EntryByHash(0) => 6,
                _ => panic!("{ask:?}"),
            };
            assert_eq!(part, expected);
        }
    }

    #[test]
    fn writes_end_with_their_entries() {
        let mut random = Random::new(5);
        let batches = source("batch");
        assert_eq!(
            batches.choose(&mut random),
            Some((0, Ask::Batch { first: 0, count: 2 }))
        );
        assert_eq!(
            batches.choose(&mut random),
            Some((0, Ask::Batch { first: 2, count: 2 }))
        );
        assert_eq!(batches.choose(&mut random), None);
        let writes = source("write-v1");
        assert_eq!((0..5).filter_map(|_| writes.choose(&mut random)).count(), 4);
    }
}
