use proptest::prelude::*;
use tlog::{
    Audit, EMPTY_ROOT, Edge, EdgeShapeError, FullTile, Hash, MAX_TREE_SIZE, TileId, TileTree,
    Tiles, TreeSize,
};

use crate::reference::{self, Tree, critical_sizes, leaves};

const LARGEST: u64 = 2 * 65_536 + 300;

#[test]
fn the_empty_tree_has_the_hash_of_nothing() {
    assert_eq!(Edge::empty().root(), EMPTY_ROOT);
    assert_eq!(tlog::sha256(&[]), EMPTY_ROOT);
    assert_eq!(Audit::new().root(), EMPTY_ROOT);
    assert!(Edge::shape(TreeSize(0)).is_empty());
    assert!(Edge::empty().tiles().is_empty());
    assert_eq!(Edge::new(TreeSize(0), vec![]), Ok(Edge::empty()));
    assert_eq!(Edge::new(TreeSize(0), vec![vec![]]), Ok(Edge::empty()));
}

#[test]
fn roots_are_those_of_the_definition_at_every_size_to_600() {
    let leaves = leaves(600);
    let mut edge = Edge::empty();
    let mut audit = Audit::new();
    for size in 0..=leaves.len() {
        let root = reference::root(&leaves[..size]);
        assert_eq!(edge.root(), root, "size {size}");
        assert_eq!(audit.root(), root, "size {size}");
        if let Some(leaf) = leaves.get(size) {
            assert_eq!(
                edge.append(&[*leaf]),
                audit.push(*leaf),
                "tiles filled by leaf {size}"
            );
        }
    }
}

#[test]
fn roots_are_those_of_the_definition_at_critical_sizes() {
    let leaves = leaves(LARGEST);
    for size in critical_sizes(LARGEST) {
        let tree = Tree::new(&leaves[..size as usize]);
        assert_eq!(tree.size(), TreeSize(size));
        assert_eq!(
            tree.root(),
            reference::root(&leaves[..size as usize]),
            "size {size}"
        );
        assert_eq!(restored(&tree.edge), Ok(tree.edge));
    }
}

#[test]
fn every_tile_holds_the_subtrees_of_its_place() {
    let leaves = leaves(70_000);
    let tree = Tree::new(&leaves);
    assert_eq!(tree.full.len(), 273 + 1);
    assert_eq!(
        Edge::shape(tree.size()),
        [(id(0, 273), 112), (id(1, 1), 17), (id(2, 0), 1)]
    );
    for (id, tile) in &tree.tiles {
        assert_eq!(tile.width(), id.width_at(tree.size()), "{id:?}");
        let span = 1 << (8 * u32::from(id.level));
        let subtrees = leaves[(id.index * 256 * span) as usize..].chunks(span as usize);
        assert!(
            tile.hashes()
                .eq(subtrees.take(tile.width()).map(reference::root)),
            "{id:?}"
        );
    }
    for tile in &tree.full {
        assert_eq!(tile.root, reference::root(&tile.hashes));
        assert_eq!(
            tile.root,
            TileTree::new(&tile.hashes).expect("full tile").root()
        );
    }
    assert!(tree.full.is_sorted_by_key(|tile| tile.id));
}

#[test]
fn the_audit_gives_the_same_tiles_and_roots() {
    let leaves = leaves(LARGEST);
    let sizes = critical_sizes(LARGEST);
    let mut audit = Audit::new();
    let mut tiles: Vec<FullTile> = Vec::new();
    for leaf in &leaves {
        if sizes.contains(&audit.size().0) {
            let taken = &leaves[..audit.size().0 as usize];
            assert_eq!(
                audit.root(),
                reference::root(taken),
                "size {}",
                audit.size()
            );
        }
        tiles.extend(audit.push(*leaf));
    }
    let tree = Tree::new(&leaves);
    assert_eq!((audit.size(), audit.root()), (tree.size(), tree.root()));
    tiles.sort_by_key(|tile| tile.id);
    assert_eq!(tiles, tree.full);
}

#[test]
fn a_tile_tree_has_every_perfect_subtree_and_no_other() {
    let hashes = leaves(256);
    for width in [1, 2, 3, 7, 8, 9, 100, 127, 128, 129, 200, 254, 255, 256] {
        let tile = TileTree::new(&hashes[..width]).expect("1 to 256");
        assert_eq!(tile.root(), reference::root(&hashes[..width]));
        assert!(tile.hashes().eq(hashes[..width].iter().copied()));
        for height in 0..=8 {
            for position in 0..=(256 >> height) {
                let subtree = hashes[..width].get(position << height..(position + 1) << height);
                assert_eq!(
                    tile.subtree_root(height, position),
                    subtree.map(reference::root),
                    "{width} {height} {position}"
                );
            }
        }
    }
    let tile = TileTree::new(&hashes).expect("full");
    for height in [9, 63, 64, u32::MAX] {
        assert_eq!(tile.subtree_root(height, 0), None);
        assert_eq!(tile.subtree_root(height, usize::MAX), None);
    }
    assert_eq!(tile.subtree_root(0, usize::MAX), None);
}

#[test]
fn a_tile_of_no_or_too_many_hashes_is_refused() {
    assert_eq!(TileTree::new(&[]).expect_err("none").0, 0);
    assert_eq!(TileTree::new(&leaves(257)).expect_err("too many").0, 257);
}

#[test]
fn widths_at_sizes_up_to_the_largest() {
    let size = TreeSize(70_000);
    assert_eq!(
        [0, 272, 273, 274, u64::MAX].map(|index| id(0, index).width_at(size)),
        [256, 256, 112, 0, 0]
    );
    assert_eq!(
        [0, 1, 2].map(|index| id(1, index).width_at(size)),
        [256, 17, 0]
    );
    assert_eq!([0, 1].map(|index| id(2, index).width_at(size)), [1, 0]);
    assert_eq!(
        [3, 7, 8, 63, 255].map(|level| id(level, 0).width_at(size)),
        [0; 5]
    );
    assert_eq!(id(7, 0).width_at(MAX_TREE_SIZE), 127);
    assert_eq!(id(8, 0).width_at(TreeSize(u64::MAX)), 0);
    assert_eq!(id(0, u64::MAX >> 8).width_at(TreeSize(u64::MAX)), 255);
    assert_eq!(id(0, 0).width_at(TreeSize(0)), 0);
}

#[test]
fn an_edge_of_another_shape_is_refused() {
    let size = TreeSize(65_536 + 512 + 3);
    let hash = EMPTY_ROOT;
    let right = || vec![vec![hash; 3], vec![hash; 2], vec![hash; 1]];
    assert!(Edge::new(size, right()).is_ok());
    for (level, want) in [(0, 3), (1, 2), (2, 1)] {
        let mut levels = right();
        levels[level].pop();
        assert_eq!(
            Edge::new(size, levels),
            Err(EdgeShapeError::Level {
                level,
                want,
                got: want - 1
            })
        );
    }
    let more = [right(), vec![vec![hash]]].concat();
    assert_eq!(
        Edge::new(size, more),
        Err(EdgeShapeError::Level {
            level: 3,
            want: 0,
            got: 1
        })
    );
    let fewer = right()[..2].to_vec();
    assert_eq!(
        Edge::new(size, fewer),
        Err(EdgeShapeError::Level {
            level: 2,
            want: 1,
            got: 0
        })
    );
    let beyond = TreeSize(MAX_TREE_SIZE.0 + 1);
    assert_eq!(
        Edge::new(beyond, vec![]),
        Err(EdgeShapeError::TooLarge(beyond))
    );
}

#[test]
fn the_edge_gives_its_own_tiles_and_no_other() {
    let tree = Tree::new(&leaves(70_000));
    for (id, tile) in &tree.tiles {
        let is_partial = tile.width() < 256;
        assert_eq!(
            tree.edge.tile(*id),
            is_partial.then_some(tile.as_ref()),
            "{id:?}"
        );
    }
    assert_eq!(tree.edge.tile(id(3, 0)), None);
    assert_eq!(tree.edge.tile(id(255, 0)), None);
}

#[test]
fn an_edge_near_the_largest_size_appends() {
    let size = TreeSize(MAX_TREE_SIZE.0 - 300);
    let levels = Edge::shape(size)
        .iter()
        .map(|(_, width)| leaves(*width as u64))
        .collect();
    let mut edge = Edge::new(size, levels).expect("its own shape");
    let full = edge.append(&leaves(300));
    assert_eq!(
        full.iter().map(|tile| tile.id.level).collect::<Vec<_>>(),
        [0]
    );
    assert_eq!(edge.size(), MAX_TREE_SIZE);
    assert_eq!(
        Edge::shape(edge.size())
            .iter()
            .map(|(_, width)| *width)
            .collect::<Vec<_>>(),
        [255, 255, 255, 255, 255, 255, 255, 127]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn batches_of_any_sizes_give_the_same_tree(batches in prop::collection::vec(0..700_usize, 0..8)) {
        let all = leaves(batches.iter().sum::<usize>() as u64);
        let whole = Tree::new(&all);
        let mut edge = Edge::empty();
        let mut full = Vec::new();
        let mut rest = all.as_slice();
        for batch in batches {
            let (new, later) = rest.split_at(batch);
            // As after a start: the edge comes from its hashes each time.
            edge = restored(&edge).expect("its own shape");
            full.extend(edge.append(new));
            rest = later;
        }
        full.sort_by_key(|tile: &FullTile| tile.id);
        prop_assert_eq!(&edge, &whole.edge);
        prop_assert_eq!(edge.root(), reference::root(&all));
        prop_assert_eq!(full, whole.full);
    }
}

/// The edge made again from its hashes.
fn restored(edge: &Edge) -> Result<Edge, EdgeShapeError> {
    let hashes = |(id, width): (TileId, usize)| -> Vec<Hash> {
        let tile = edge
            .tile(id)
            .map(|tile| tile.hashes().collect::<Vec<_>>())
            .unwrap_or_default();
        assert_eq!(tile.len(), width, "{id:?}");
        tile
    };
    Edge::new(
        edge.size(),
        Edge::shape(edge.size()).into_iter().map(hashes).collect(),
    )
}

fn id(level: u8, index: u64) -> TileId {
    TileId { level, index }
}
