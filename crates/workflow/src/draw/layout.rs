//! Where shapes stand: in ranks from top to bottom, each below all that it follows.
//!
//! The usual three steps. Ranks are longest ways; lines over several ranks get a bend in each (lines of
//! one style with a common end share them); the order within a rank follows the neighbours, to cross few lines; and
//! places are as near to the neighbours as widths allow. Nothing is random: one picture gives one layout.

mod order;
mod place;

use std::collections::{BTreeMap, BTreeSet};

/// The room between neighbours in a rank, between bends, and between ranks.
const GAP: f64 = 28.0;
const BEND_GAP: f64 = 14.0;
const RANK_GAP: f64 = 38.0;

/// A line to be drawn: from one box to another, in a style.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Line<S> {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) style: S,
}

/// Where everything stands.
#[derive(Debug)]
pub(super) struct Layout<S> {
    pub(super) width: f64,
    pub(super) height: f64,
    /// The middle of the upper side of each box.
    pub(super) tops: Vec<(f64, f64)>,
    pub(super) wires: Vec<Wire<S>>,
}

/// A piece of a line, from one rank to the next.
#[derive(Debug)]
pub(super) struct Wire<S> {
    pub(super) from: (f64, f64),
    pub(super) to: (f64, f64),
    /// Between which heights it may leave the vertical.
    pub(super) band: (f64, f64),
    pub(super) style: S,
    /// Whether it ends at a box.
    pub(super) has_head: bool,
}

/// Boxes and bends in ranks, and which of them are joined.
#[derive(Debug, Default)]
struct Ranked {
    /// The rank, width and height of each item: the boxes first, then the bends.
    items: Vec<Item>,
    ranks: Vec<Vec<usize>>,
    above: Vec<Vec<usize>>,
    below: Vec<Vec<usize>>,
}

#[derive(Debug, Clone, Copy)]
struct Item {
    rank: usize,
    width: f64,
    height: f64,
    is_bend: bool,
}

/// Lays out boxes of these widths and heights.
pub(super) fn layout<S: Copy + Ord>(boxes: &[(f64, f64)], lines: &[Line<S>]) -> Layout<S> {
    let (mut ranked, pieces) = rank(boxes, lines);
    order::order(&mut ranked);
    let centres = place::place(&ranked);
    let reach = pieces.iter().map(|(from, to, _)| (at(&centres, *from) - at(&centres, *to)).abs());
    let mut gaps = vec![RANK_GAP; ranked.ranks.len()];
    for ((from, ..), reach) in pieces.iter().zip(reach) {
        if let Some(gap) = ranked.items.get(*from).and_then(|item| gaps.get_mut(item.rank)) {
            *gap = gap.max(RANK_GAP + (reach / 10.0).min(60.0));
        }
    }
    let mut bands = Vec::with_capacity(ranked.ranks.len());
    let mut top = 0.0;
    for (rank, gap) in ranked.ranks.iter().zip(gaps) {
        let heights = rank.iter().filter_map(|item| ranked.items.get(*item)).map(|item| item.height);
        let height = heights.fold(0.0, f64::max);
        bands.push((top, height));
        top += height + gap;
    }
    let band = |item: &Item| bands.get(item.rank).copied().unwrap_or_default();
    let tops = ranked.items.iter().zip(&centres).take(boxes.len());
    let tops = tops.map(|(item, x)| (*x, band(item).0 + (band(item).1 - item.height) / 2.0)).collect();
    let wires = pieces.iter().filter_map(|(from, to, style)| {
        let (first, last) = (ranked.items.get(*from)?, ranked.items.get(*to)?);
        let (upper, lower) = (band(first), band(last));
        let inset =
            |band: (f64, f64), item: &Item| if item.is_bend { 0.0 } else { (band.1 - item.height) / 2.0 };
        let bottom = upper.0 + upper.1;
        let start = if first.is_bend { upper.0 } else { bottom - inset(upper, first) };
        Some(Wire {
            from: (at(&centres, *from), start),
            to: (at(&centres, *to), lower.0 + inset(lower, last)),
            band: (bottom, lower.0),
            style: *style,
            has_head: !last.is_bend,
        })
    });
    let wires = wires.collect();
    let right = |(item, x): (&Item, &f64)| x + item.width / 2.0;
    let width = ranked.items.iter().zip(&centres).map(right).fold(0.0, f64::max);
    let height = bands.last().map_or(0.0, |(top, height)| top + height);
    Layout { width, height, tops, wires }
}

fn at<T: Copy + Default>(places: &[T], index: usize) -> T {
    places.get(index).copied().unwrap_or_default()
}

type Pieces<S> = BTreeSet<(usize, usize, S)>;

/// The end that lines have in common which share their bends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    From(usize),
    To(usize),
}

/// Gives every box its rank and every long line its bends.
fn rank<S: Copy + Ord>(boxes: &[(f64, f64)], lines: &[Line<S>]) -> (Ranked, Pieces<S>) {
    let depths = depths(boxes.len(), lines);
    let mut ranked = Ranked::default();
    for ((width, height), rank) in boxes.iter().zip(&depths) {
        ranked.add(Item { rank: *rank, width: *width, height: *height, is_bend: false });
    }
    let is_long = |line: &&Line<S>| at(&depths, line.to) > at(&depths, line.from) + 1;
    let mut ends: BTreeMap<(End, S), usize> = BTreeMap::new();
    for line in lines.iter().filter(is_long) {
        *ends.entry((End::From(line.from), line.style)).or_default() += 1;
        *ends.entry((End::To(line.to), line.style)).or_default() += 1;
    }
    let mut bends: BTreeMap<(End, S, usize), usize> = BTreeMap::new();
    let mut pieces = BTreeSet::new();
    for line in lines {
        let long = [End::To(line.to), End::From(line.from)];
        let shared = long.into_iter().max_by_key(|end| ends.get(&(*end, line.style)));
        let shared = shared.unwrap_or(End::From(line.from));
        let mut from = line.from;
        for rank in at(&depths, line.from) + 1..at(&depths, line.to) {
            let next = ranked.items.len();
            let bend = *bends.entry((shared, line.style, rank)).or_insert(next);
            if bend == next {
                ranked.add(Item { rank, width: 0.0, height: 0.0, is_bend: true });
            }
            pieces.insert((from, bend, line.style));
            from = bend;
        }
        pieces.insert((from, line.to, line.style));
    }
    for (from, to, _) in &pieces {
        ranked.join(*from, *to);
    }
    (ranked, pieces)
}

/// The length of the longest way to each box. Lines never lead in a circle.
fn depths<S: Copy>(count: usize, lines: &[Line<S>]) -> Vec<usize> {
    let mut waiting = vec![0_usize; count];
    let mut next: Vec<Vec<usize>> = vec![Vec::new(); count];
    for line in lines {
        if let (Some(next), Some(waiting)) = (next.get_mut(line.from), waiting.get_mut(line.to)) {
            next.push(line.to);
            *waiting += 1;
        }
    }
    let mut depths = vec![0_usize; count];
    let mut ready: Vec<usize> = (0..count).filter(|index| waiting.get(*index) == Some(&0)).collect();
    while let Some(from) = ready.pop() {
        let depth = depths.get(from).copied().unwrap_or_default();
        for to in next.get(from).into_iter().flatten() {
            if let (Some(place), Some(waiting)) = (depths.get_mut(*to), waiting.get_mut(*to)) {
                *place = (*place).max(depth + 1);
                *waiting -= 1;
                if *waiting == 0 {
                    ready.push(*to);
                }
            }
        }
    }
    depths
}

impl Ranked {
    fn add(&mut self, item: Item) {
        while self.ranks.len() <= item.rank {
            self.ranks.push(Vec::new());
        }
        if let Some(rank) = self.ranks.get_mut(item.rank) {
            rank.push(self.items.len());
        }
        self.items.push(item);
        self.above.push(Vec::new());
        self.below.push(Vec::new());
    }

    fn join(&mut self, upper: usize, lower: usize) {
        if let (Some(below), Some(above)) = (self.below.get_mut(upper), self.above.get_mut(lower)) {
            below.push(lower);
            above.push(upper);
        }
    }
}
